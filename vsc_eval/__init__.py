"""Evaluate vision-language models with and without sparse-autoencoder interventions.

Importing this package loads no torch, transformers, vllm or lm_eval: command lines, spec checks and table
readers must start fast and work where those are not installed.
"""

__version__ = "0.1.0"
