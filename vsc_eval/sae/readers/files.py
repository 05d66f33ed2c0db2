"""Tensors on disk, and what every reader of SAEs needs: files that cannot run code, tensors checked, an SAE filled."""

import json
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from vsc_eval.errors import BackendError, DataError
from vsc_eval.files import replacing
from vsc_eval.mistakes import explain
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.options import ReadOptions

NO_SUM = " has a skip connection: its output is not a sum of features"
OWN_NAMES = {name: name for name in ("b_enc", "b_dec", "W_enc", "W_dec", "threshold")}
"""For files whose tensors are called, and lie, as ours."""


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


def refuse(path: Path, *faults: tuple[Any, str, str]) -> None:
    """Raises DataError for the first of (whether it is so, what is wrong with `path` then, how to fix it) that is."""
    for is_so, what, hint in faults:
        if is_so:
            raise DataError(f"{path}{what}.", hint=hint)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises DataError naming the file."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Restore the file or train the SAE again.") from error
    refuse(path, (not isinstance(config, dict), " holds no JSON object", "Restore the file or train the SAE again."))
    found: dict[str, Any] = config
    return found


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .npz or .pt file, floating ones as float32 on the CPU. Never runs a pickle's code.
    Raises DataError if the file is damaged or holds anything but tensors."""
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
    is_table = isinstance(found, Mapping) and all(isinstance(value, Tensor) for value in found.values())
    refuse(path, (not is_table, " is not a table of tensors", "Use the file of one SAE's weights."))
    return {str(name): t.to(torch.float32) if t.is_floating_point() else t for name, t in found.items()}


def renamed(weights: Mapping[str, Tensor], path: Path, **theirs: str) -> dict[str, Tensor]:
    """Tensors by our names, given the file's own: `W_dec="decoder.weight.T"` is the transpose. W_* have two axes.
    Raises DataError, naming tensor and file, for what is missing or of another shape."""
    own = {}
    for name, their in theirs.items():
        plain = their.removesuffix(".T")
        tensor = _take(weights, plain, path)
        is_odd = name.startswith("W_") and tensor.ndim != 2
        refuse(path, (is_odd, f": '{plain}' has shape {list(tensor.shape)}, not two axes", "Use another file."))
        own[name] = tensor if plain == their else tensor.T.contiguous()
    return own


def _take(weights: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    hint = "Use a complete file in this layout, or name another."
    refuse(path, (name not in weights, f" has no tensor '{name}'", hint))
    return weights[name]


def read_from(
    layout: str,
    path: Path,
    weights: Mapping[str, Tensor],
    options: ReadOptions,
    *,
    layer: int | None = None,
    hook: str | None = None,
    metadata: dict[str, Any] | None = None,
    config_file: Path | None = None,
    **config: Any,
) -> ReadSAE:
    """The SAE of the weights file `path`: `weights` by our names (W_enc [d, F], W_dec [F, d]; one threshold stands for
    all features), and what the files say of `layer` and `hook`.

    `config`: the fields of SAEConfig, whose mistakes are those of `config_file`; widths that it lacks are W_enc's.
    Raises DataError if a field is refused, or a tensor missing, of another shape or not finite; SpecError where the
    caller's layer is another.
    """
    if "d_sae" not in config:
        config["d_in"], config["d_sae"] = weights["W_enc"].shape
    try:
        cfg = SAEConfig(**config)
    except ValidationError as error:
        told = explain(error, SAEConfig, str(config_file or path))
        raise DataError(told.message, hint=told.hint) from error
    if cfg.has_threshold and "threshold" in weights and weights["threshold"].ndim == 0:
        weights = {**weights, "threshold": weights["threshold"].expand(cfg.d_sae)}
    sae = SAE(cfg)
    for name, own in sae.state_dict().items():
        tensor = _take(weights, name, path)
        shapes = f"has shape {list(tensor.shape)}, but the config says {list(own.shape)}"
        refuse(
            path,
            (tensor.shape != own.shape, f": '{name}' {shapes}", "Use the config that belongs to these weights."),
            (not tensor.isfinite().all(), f": '{name}' holds NaN or infinite numbers", "Train the SAE again."),
        )
    sae.load_state_dict(dict(weights), strict=False)
    layer = options.agreed("layer", layer, path)
    return ReadSAE(sae.requires_grad_(False), layout, path, layer, hook, metadata or {})


def fold_decoder_norm(sae: SAE) -> None:
    """Make the decoder rows unit vectors and the encoder that much stronger, in place: same reconstruction. A feature
    whose row is zero can rebuild nothing: it gets an encoder that never fires."""
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


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write `tensors` to `path` in one step: a killed run leaves the old file or the new one, never a part. Raises
    BackendError if the folder cannot be written or the disk is full."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        try:
            save_file(contiguous, partial, metadata=metadata)
        except SafetensorError as error:  # safetensors wraps the operating system's errors
            raise BackendError(
                f"{path} cannot be written: {error}.",
                hint="Choose a folder that you may write to, on a disk with space left.",
            ) from error


@contextmanager
def opened_tensors(path: Path, hint: str) -> Iterator[Any]:
    """A file of `write_tensors`, to take single tensors from. Raises DataError with `hint` if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read, it may be truncated: {error}.", hint=hint) from error


def load_tensors(path: Path, hint: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of such a file and its metadata. Raises like `opened_tensors`."""
    with opened_tensors(path, hint) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
