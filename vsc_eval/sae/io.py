"""SAEs on disk in the SAELens layout: `cfg.json` and `sae_weights.safetensors` in one folder. Never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.files import replacing
from vsc_eval.sae.model import SAE, Activation, SAEConfig
from vsc_eval.sae.tensors import write_tensors
from vsc_eval.specs import explain

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"

_TO_ARCHITECTURE: dict[Activation, str] = {
    "topk": "topk",
    "relu": "standard",
    "jumprelu": "jumprelu",
    # At inference a batch-top-k SAE is a JumpReLU with one threshold, and SAELens stores it so.
    "batchtopk": "jumprelu",
}
_TO_ACTIVATION: dict[str, Activation] = {
    "topk": "topk",
    "standard": "relu",
    "jumprelu": "jumprelu",
    "batchtopk": "batchtopk",
}


def save_sae(sae: SAE, folder: Path, extra_cfg: Mapping[str, Any] | None = None) -> None:
    """Write `sae` to `folder`, so that SAELens loads it too. `extra_cfg` (JSON-able) becomes the config's `metadata`.

    Raises BackendError if the folder cannot be written.
    """
    cfg = sae.cfg
    config: dict[str, Any] = {
        "architecture": _TO_ARCHITECTURE[cfg.activation],
        "d_in": cfg.d_in,
        "d_sae": cfg.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": cfg.apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {**(extra_cfg or {}), "vsc_eval_fingerprint": sae.fingerprint()},
    }
    if cfg.activation == "topk":
        config |= {"k": cfg.k, "rescale_acts_by_decoder_norm": False}
    write_tensors(folder / WEIGHTS_FILE, sae.state_dict())
    with replacing(folder / CONFIG_FILE) as partial:
        partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_sae_metadata(folder: Path) -> dict[str, Any]:
    """The `metadata` that `save_sae` stored. Raises like `load_sae`."""
    metadata = _read_config(folder).get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}


def load_sae(folder: Path, *, d_model: int | None = None) -> SAE:
    """Read an SAE in SAELens layout, as float32 on the CPU, without gradients.

    Raises SpecError if there is no such folder; DataError if a file is missing, truncated, of the wrong shapes or of a
    kind that cannot be represented exactly, and, where `d_model` is given, if the SAE is of another width.
    """
    config = _read_config(folder)
    cfg = _to_sae_config(config, folder)
    check_width(cfg, d_model)
    weights = _read_weights(folder / WEIGHTS_FILE)
    sae = _filled(cfg, weights, folder / WEIGHTS_FILE).requires_grad_(False)
    if config.get("rescale_acts_by_decoder_norm"):
        _fold_decoder_norm(sae)
    return sae


def check_width(cfg: SAEConfig, d_model: int | None) -> None:
    """Raises DataError, naming both widths, unless an SAE of `cfg` reads streams of width `d_model` (None: unknown)."""
    if d_model is not None and cfg.d_in != d_model:
        raise DataError(
            f"The SAE has width {cfg.d_in}, but the model's residual stream has width {d_model}.",
            mend="Use the suite of this model, or train an SAE on it with `vsc-eval sae train`.",
        )


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise SpecError(f"There is no SAE folder {folder}.", mend="Check the path, or run `vsc-eval sae train`.")
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", mend="Restore the file or train the SAE again.") from error
    if not isinstance(config, dict):
        raise DataError(f"{path} holds no JSON object.", mend="Restore the file or train the SAE again.")
    return config


def _to_sae_config(config: dict[str, Any], folder: Path) -> SAEConfig:
    path = folder / CONFIG_FILE
    architecture = config.get("architecture")
    if architecture not in _TO_ACTIVATION:
        raise DataError(
            f"{path}: architecture {architecture!r} is not supported.",
            mend=f"Use an SAE of architecture {', '.join(_TO_ACTIVATION)}.",
        )
    if (normalization := config.get("normalize_activations", "none")) not in ("none", None):
        raise DataError(
            f"{path}: the SAE expects activations normalised by {normalization!r}.",
            mend="Fold it into the weights (SAELens: `fold_activation_norm_scaling_factor`) and save again.",
        )
    try:
        return SAEConfig(
            d_in=config["d_in"],
            d_sae=config["d_sae"],
            k=config.get("k"),
            activation=_TO_ACTIVATION[architecture],
            apply_b_dec_to_input=config.get("apply_b_dec_to_input", True),
        )
    except KeyError as error:
        raise DataError(f"{path} lacks the key {error}.", mend="Add it, or train the SAE again.") from error
    except ValidationError as error:
        told = explain(error, SAEConfig, str(path))
        raise DataError(told.message, mend=told.mend) from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return {name: tensor.to(torch.float32) for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path} cannot be read, it may be truncated: {error}.",
            mend="Copy or download the file again, or train the SAE again.",
        ) from error


def _fold_decoder_norm(sae: SAE) -> None:
    """Make an SAE that ranks activations by their decoder norm an ordinary one with unit decoder rows, in place.

    A feature whose row is zero ranks last whatever it reads: it gets an encoder that never fires.
    """
    norm = sae.W_dec.norm(dim=1)
    sae.W_dec.div_(torch.where(norm > 0, norm, 1.0)[:, None])
    sae.W_enc.mul_(norm)
    sae.b_enc.mul_(norm)


def _filled(cfg: SAEConfig, weights: dict[str, Tensor], path: Path) -> SAE:
    weights = dict(weights)
    if cfg.has_threshold and "threshold" not in weights:
        if "log_threshold" in weights:
            weights["threshold"] = weights.pop("log_threshold").exp()
        elif "topk_threshold" in weights:
            weights["threshold"] = weights.pop("topk_threshold").expand(cfg.d_sae).clone()
    sae = SAE(cfg)
    for name, own in sae.state_dict().items():
        if name not in weights:
            raise DataError(f"{path} has no tensor '{name}'.", mend="Use a complete file in SAELens layout.")
        if weights[name].shape != own.shape:
            raise DataError(
                f"{path}: '{name}' has shape {list(weights[name].shape)}, but the config says {list(own.shape)}.",
                mend=f"Use the {CONFIG_FILE} that belongs to these weights.",
            )
        if not torch.isfinite(weights[name]).all():
            raise DataError(f"{path}: '{name}' holds NaN or infinite numbers.", mend="Train the SAE again.")
    sae.load_state_dict(weights, strict=False)
    return sae
