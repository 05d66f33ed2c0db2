"""SAEs from disk, one file a layout. Never a pickle: safetensors, npz without objects, and .pt with tensors only.

Another package adds a layout by an entry point of the group `vsc_eval.sae_layouts` (see vsc_eval.registry)."""

from vsc_eval.sae.readers.base import LAYOUTS, SAELayout
from vsc_eval.sae.readers.detect import check_width, load_any_sae, read_any_sae
from vsc_eval.sae.readers.files import ReadSAE

__all__ = ["LAYOUTS", "ReadSAE", "SAELayout", "check_width", "load_any_sae", "read_any_sae"]
