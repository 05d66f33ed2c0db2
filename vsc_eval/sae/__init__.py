"""Sparse autoencoders: model, reader and writer, trainer, quality figures."""

from vsc_eval.sae.io import load_sae, save_sae
from vsc_eval.sae.model import SAE, SAEConfig, SparseCodes

__all__ = ["SAE", "SAEConfig", "SparseCodes", "load_sae", "save_sae"]
