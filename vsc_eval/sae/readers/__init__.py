"""SAEs from disk, one file a layout. Never a pickle: safetensors, npz without objects, and .pt with tensors only."""

from vsc_eval.sae.readers.detect import LAYOUTS, check_width, load_any_sae, read_any_sae
from vsc_eval.sae.readers.files import ReadSAE

__all__ = ["LAYOUTS", "ReadSAE", "check_width", "load_any_sae", "read_any_sae"]
