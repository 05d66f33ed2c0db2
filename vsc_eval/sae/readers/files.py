"""What every reader needs: files that cannot run code, tensors checked, an SAE filled."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.mistakes import explain
from vsc_eval.sae.model import SAE, SAEConfig


@dataclass(frozen=True)
class ReadOptions:
    """What a layout's files may not tell. None: as the files say, or the layout's default."""

    layer: int | None = None
    """Decoder layer, from 0; also picks the SAE where one folder holds several."""
    hook: str | None = None
    """Subfolder of the SAE where one repository holds several, such as `layers.12` or `layer_20/width_16k/...`."""
    k: int | None = None
    """Active features of a Top-K SAE."""
    activation: str | None = None
    """`topk` or `batchtopk`: for dictionary_learning's `ae.pt` without its config.json."""
    relu_after_topk: bool | None = None
    """Qwen-Scope: whether negative values among the top k are dropped; None: yes, as SAELens does."""


@dataclass(frozen=True, eq=False)
class ReadSAE:
    """An SAE from disk and what its files say about it."""

    sae: SAE
    """Float32, on the CPU, without gradients."""
    layout: str
    path: Path
    """The weights file."""
    layer: int | None
    """0-based decoder layer whose output the SAE reads; None if the files do not say or it reads another place."""
    hook: str | None
    """The place that the SAE reads, in its library's words."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What `vsc-eval sae train` or another trainer stored beside the weights; JSON-able."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises DataError naming the file."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Restore the file or train the SAE again.") from error
    if not isinstance(config, dict):
        raise DataError(f"{path} holds no JSON object.", hint="Restore the file or train the SAE again.")
    return config


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .npz or .pt file, floating ones as float32 on the CPU. Never runs a pickle's code.

    Raises DataError if the file is damaged or holds anything but tensors.
    """
    try:
        if path.suffix == ".npz":
            # numpy would leave a damaged file open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                found: Any = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        elif path.suffix == ".pt":
            found = torch.load(path, map_location="cpu", weights_only=True)
        else:
            found = load_file(path)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than tensors, or is damaged: reading it could run its code, so it was not read.",
            hint="Get the file from a source that you trust, load it there and save its tensors as safetensors.",
        ) from error
    except (SafetensorError, OSError, ValueError, RuntimeError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read, it may be truncated: {str(error).splitlines()[0] if str(error) else 'empty'}.",
            hint="Copy or download the file again, or train the SAE again.",
        ) from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(f"{path} is not a table of tensors.", hint="Use the file of one SAE's weights.")
    return {str(name): t.to(torch.float32) if t.is_floating_point() else t for name, t in found.items()}


def take(weights: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    """The tensor `name`; raises DataError naming it and the file."""
    if name not in weights:
        raise DataError(f"{path} has no tensor '{name}'.", hint="Use a complete file in this layout, or name another.")
    return weights[name]


def matrix(weights: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    """The tensor `name`, which must have two axes; raises DataError."""
    tensor = take(weights, name, path)
    if tensor.ndim != 2:
        raise DataError(f"{path}: '{name}' has shape {list(tensor.shape)}, not two axes.", hint="Use another file.")
    return tensor


def config_of(source: Path, /, **fields: Any) -> SAEConfig:
    """An SAEConfig from what `source` says; a value that it refuses is a DataError naming the file."""
    try:
        return SAEConfig(**fields)
    except ValidationError as error:
        told = explain(error, SAEConfig, str(source))
        raise DataError(told.message, hint=told.hint) from error


def filled(cfg: SAEConfig, weights: Mapping[str, Tensor], path: Path) -> SAE:
    """An SAE of `cfg` with `weights` in our orientation (W_enc [d, F], W_dec [F, d]), without gradients.

    Raises DataError if one is missing, of another shape or not finite.
    """
    sae = SAE(cfg)
    for name, own in sae.state_dict().items():
        tensor = take(weights, name, path)
        if tensor.shape != own.shape:
            raise DataError(
                f"{path}: '{name}' has shape {list(tensor.shape)}, but the config says {list(own.shape)}.",
                hint="Use the config that belongs to these weights.",
            )
        if not torch.isfinite(tensor).all():
            raise DataError(f"{path}: '{name}' holds NaN or infinite numbers.", hint="Train the SAE again.")
    sae.load_state_dict(dict(weights), strict=False)
    return sae.requires_grad_(False)


def fold_decoder_norm(sae: SAE) -> None:
    """Make the decoder rows unit vectors and the encoder that much stronger, in place: same reconstruction.

    A feature whose row is zero can rebuild nothing: it gets an encoder that never fires.
    """
    norm = sae.W_dec.norm(dim=1)
    sae.W_dec.div_(torch.where(norm > 0, norm, 1.0)[:, None])
    sae.W_enc.mul_(norm)
    sae.b_enc.mul_(norm)


_RESIDUAL = (
    (re.compile(r"^blocks\.(\d+)\.hook_resid_post$"), 0),
    # What enters a block is what the block below put out.
    (re.compile(r"^blocks\.(\d+)\.hook_resid_pre$"), -1),
    (re.compile(r"^(?:.*\.)?layers[._](\d+)(?:\.output)?$"), 0),
)


def layer_of_hook(hook: str | None) -> int | None:
    """The decoder layer whose output `hook` names; None for any other place."""
    for pattern, shift in _RESIDUAL:
        if hook is not None and (match := pattern.match(hook)):
            layer = int(match.group(1)) + shift
            return layer if layer >= 0 else None
    return None


def agreed(what: str, said: int | None, asked: int | None, path: Path) -> int | None:
    """The value of `what` that the files say or the caller gave; raises SpecError where they differ."""
    if said is not None and asked is not None and said != asked:
        raise SpecError(f"{path} is an SAE with {what} {said}, not {asked}.", hint=f"Leave `{what}` out, or fix it.")
    return asked if said is None else said
