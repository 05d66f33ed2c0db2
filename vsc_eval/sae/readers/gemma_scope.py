"""Gemma-Scope: `params.npz` (1) or `params.safetensors` (2) in a folder such as `layer_20/width_16k/average_l0_71`.

W_enc [d, F], W_dec [F, d], b_enc, b_dec, threshold [F], in lower case too; JumpReLU, b_dec not subtracted from the
input.
"""

import re
from pathlib import Path

import torch

from vsc_eval.errors import DataError
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import read_from, read_json, read_tensors, renamed

WEIGHTS_FILES = ("params.safetensors", "params.npz")
CONFIG_FILE = "config.json"

_LAYER = re.compile(r"(?:^|_)layer_(\d+)")
_ELSEWHERE = ("embedding", "attn", "mlp", "transcoder", "clt")


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read folder `path` or one of its weights files. Raises DataError for what is damaged, or no SAE of a layer."""
    in_folder = (path / name for name in WEIGHTS_FILES)
    file = path if path.is_file() else next((f for f in in_folder if f.is_file()), path / WEIGHTS_FILES[-1])
    weights = {("W_" + name[2:] if name.startswith("w_") else name): t for name, t in read_tensors(file).items()}
    if "affine_skip_connection" in weights:
        raise DataError(
            f"{file} has a skip connection: its output is not a sum of features.",
            hint="Use an SAE of `resid_post`, not a transcoder.",
        )
    scaling = weights.get("scaling_factor")
    if scaling is not None and not torch.allclose(scaling, torch.ones_like(scaling)):
        raise DataError(
            f"{file} has a scaling_factor other than 1, which is not supported.",
            hint="Multiply the rows of W_dec by it and save again.",
        )
    own = renamed(weights, file, **{name: name for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")})
    places = file.absolute().parent.parts[-3:]
    hook = "/".join(places)
    found = next((m for part in reversed(places) if (m := _LAYER.search(part))), None)
    layer = int(found.group(1)) if found and not any(word in hook for word in _ELSEWHERE) else None
    config = file.with_name(CONFIG_FILE)
    return read_from(
        "gemma_scope",
        file,
        own,
        options,
        layer=layer,
        hook=hook if found else None,
        metadata=read_json(config) if config.exists() else {},
        activation="jumprelu",
        apply_b_dec_to_input=False,
    )


LAYOUT = SAELayout("gemma_scope", is_weights=lambda name: name in WEIGHTS_FILES, read=read)
