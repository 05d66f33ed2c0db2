"""Sparse autoencoders: model, readers and writer, trainer, quality figures."""

from vsc_eval.sae.io import load_sae, save_sae
from vsc_eval.sae.model import SAE, SAEConfig, SparseCodes
from vsc_eval.sae.readers import ReadSAE, load_any_sae, read_any_sae

__all__ = ["SAE", "ReadSAE", "SAEConfig", "SparseCodes", "load_any_sae", "load_sae", "read_any_sae", "save_sae"]
