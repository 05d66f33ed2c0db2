"""SAELens: `cfg.json` and `sae_weights.safetensors` in one folder. Also what `save_sae` writes.

W_enc [d, F], W_dec [F, d], b_enc, b_dec, and threshold [F], log_threshold [F] or topk_threshold [] where features have
one. b_dec is subtracted from the input unless `apply_b_dec_to_input` says no.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import Activation, SAEConfig
from vsc_eval.sae.readers.base import SAELayout
from vsc_eval.sae.readers.files import (
    ReadOptions,
    ReadSAE,
    agreed,
    config_of,
    filled,
    fold_decoder_norm,
    layer_of_hook,
    read_json,
    read_tensors,
)

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"

SIGNED_TOPK = "topk_signed"
"""Our own architecture name for a top-k without ReLU, which SAELens does not have: it refuses the name."""
OWN_CONFIG = "vsc_eval_config"
"""Key of the metadata that holds what SAELens' own keys cannot say."""

_TO_ACTIVATION: dict[str, Activation] = {
    "topk": "topk",
    SIGNED_TOPK: "topk",
    "standard": "relu",
    "jumprelu": "jumprelu",
    "batchtopk": "batchtopk",
    "matryoshka_batchtopk": "batchtopk",
}


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read the SAE in folder `path`. Raises SpecError without a folder, DataError for what is damaged or unknown."""
    if not path.is_dir():
        raise SpecError(f"There is no SAE folder {path}.", hint="Check the path, or run `vsc-eval sae train`.")
    config_file, weights_file = path / CONFIG_FILE, path / WEIGHTS_FILE
    config = read_json(config_file)
    cfg = _config(config, config_file)
    agreed("k", cfg.k, options.k, weights_file)
    sae = filled(cfg, _with_threshold(read_tensors(weights_file), cfg), weights_file)
    if config.get("rescale_acts_by_decoder_norm"):
        fold_decoder_norm(sae)
    metadata = config["metadata"] if isinstance(config.get("metadata"), dict) else {}
    # Before version 6 the names stood at the top of the config.
    hook = next((str(place["hook_name"]) for place in (metadata, config) if place.get("hook_name")), None)
    layer = metadata["layer"] if isinstance(metadata.get("layer"), int) else layer_of_hook(hook)
    return ReadSAE(sae, "saelens", weights_file, agreed("layer", layer, options.layer, weights_file), hook, metadata)


def _config(config: dict[str, Any], path: Path) -> SAEConfig:
    architecture, k = config.get("architecture"), config.get("k")
    activation_fn = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    if activation_fn == "topk" and architecture in (None, "standard"):
        # Before version 6 a Top-K SAE was a "standard" one with this activation; as ReLU it would fire far too much.
        architecture, k = "topk", (config.get("activation_fn_kwargs") or {}).get("k", k)
    if architecture not in _TO_ACTIVATION:
        raise DataError(
            f"{path}: architecture {architecture!r} is not supported.",
            hint=f"Use an SAE of architecture {', '.join(_TO_ACTIVATION)}.",
        )
    if activation_fn not in ("relu", "topk"):
        raise DataError(f"{path}: activation {activation_fn!r} is not supported.", hint="Use an SAE with ReLU.")
    _check_plain(config, path)
    try:
        fields: dict[str, Any] = {
            "d_in": config["d_in"],
            "d_sae": config["d_sae"],
            # The mean L0 of a batch-top-k SAE need not be whole, and its inference does not use it.
            "k": None if _TO_ACTIVATION[architecture] == "batchtopk" else k,
            "activation": _TO_ACTIVATION[architecture],
            "apply_b_dec_to_input": config.get("apply_b_dec_to_input", True),
            "topk_relu": architecture != SIGNED_TOPK,
        }
    except KeyError as error:
        raise DataError(f"{path} lacks the key {error}.", hint="Add it, or train the SAE again.") from error
    metadata = config.get("metadata")
    own = metadata.get(OWN_CONFIG) if isinstance(metadata, dict) else None
    return config_of(path, **{**fields, **(own if isinstance(own, dict) else {})})


def _check_plain(config: dict[str, Any], path: Path) -> None:
    if (normalization := config.get("normalize_activations", "none")) not in ("none", None, False):
        raise DataError(
            f"{path}: the SAE expects activations normalised by {normalization!r}.",
            hint="Fold it into the weights (SAELens: `fold_activation_norm_scaling_factor`) and save again.",
        )
    if (reshaping := config.get("reshape_activations", "none")) not in ("none", None):
        raise DataError(
            f"{path}: the SAE reads activations reshaped by {reshaping!r}, not the residual stream.",
            hint="Use an SAE of a decoder layer's output.",
        )
    if config.get("finetuning_scaling_factor"):
        raise DataError(
            f"{path}: the SAE has a finetuning_scaling_factor, which is not supported.",
            hint="Multiply the rows of W_dec by it in SAELens and save again.",
        )


def _with_threshold(weights: dict[str, Tensor], cfg: SAEConfig) -> dict[str, Tensor]:
    if cfg.has_threshold and "threshold" not in weights:
        if "log_threshold" in weights:
            weights["threshold"] = weights.pop("log_threshold").exp()
        elif "topk_threshold" in weights:
            weights["threshold"] = weights.pop("topk_threshold").expand(cfg.d_sae).clone()
    return weights


LAYOUT = SAELayout("saelens", is_weights=lambda name: name == WEIGHTS_FILE, read=read, reads_folder=True)
