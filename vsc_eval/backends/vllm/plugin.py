"""What vLLM loads in every process of its own before it imports transformers.

vLLM looks a model class up in a subprocess that imports torchvision through transformers before it loads its "general"
plugins. Its platform plugins (entry point group `vllm.platform_plugins`) are asked earlier: each is a function that may
name a platform, or return None where it has none to offer.
"""

from __future__ import annotations

from vsc_eval.backends.hf.torchvision_mend import mend_torchvision


def no_platform() -> None:
    """Offer no platform, and make transformers importable in this process; nothing is touched where the compiled
    libraries of torchvision and of the audio packages load."""
    mend_torchvision()
