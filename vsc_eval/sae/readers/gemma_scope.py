"""SAEs of Gemma-Scope."""

import re
from pathlib import Path

import torch

from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import NO_SUM, OWN_NAMES, read_from, read_json, read_tensors, refuse, renamed

_GEMMA_FILES = ("params.safetensors", "params.npz")
_GEMMA_LAYER = re.compile(r"(?:^|_)layer_(\d+)")
_ELSEWHERE = ("embedding", "attn", "mlp", "transcoder", "clt")


def _read_gemma_scope(path: Path, options: ReadOptions) -> ReadSAE:
    """Gemma-Scope: `params.npz` (1) or `params.safetensors` (2) in a folder such as `layer_20/width_16k/average_l0_71`,
    W_* in lower case too; JumpReLU, b_dec not subtracted from the input."""
    in_folder = (path / name for name in _GEMMA_FILES)
    file = path if path.is_file() else next((f for f in in_folder if f.is_file()), path / _GEMMA_FILES[-1])
    weights = {("W_" + name[2:] if name.startswith("w_") else name): t for name, t in read_tensors(file).items()}
    scaling = weights.get("scaling_factor")
    scaled = scaling is not None and not torch.allclose(scaling, torch.ones_like(scaling))
    refuse(
        file,
        ("affine_skip_connection" in weights, NO_SUM, "Use an SAE of `resid_post`, not a transcoder."),
        (
            scaled,
            " has a scaling_factor other than 1, which is not supported",
            "Multiply the rows of W_dec by it and save again.",
        ),
    )
    places = file.absolute().parent.parts[-3:]
    hook, config = "/".join(places), file.with_name("config.json")
    found = next((m for part in reversed(places) if (m := _GEMMA_LAYER.search(part))), None)
    return read_from(
        "gemma_scope",
        file,
        renamed(weights, file, **OWN_NAMES),
        options,
        layer=int(found.group(1)) if found and not any(word in hook for word in _ELSEWHERE) else None,
        hook=hook if found else None,
        metadata=read_json(config) if config.exists() else {},
        activation="jumprelu",
        apply_b_dec_to_input=False,
    )


GEMMA_SCOPE = SAELayout("gemma_scope", is_weights=_GEMMA_FILES.__contains__, read=_read_gemma_scope)
