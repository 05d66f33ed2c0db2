"""SAELens: `cfg.json` and `sae_weights.safetensors` in one folder; our own SAEs on disk are written so, too.

W_enc [d, F], W_dec [F, d], b_enc, b_dec, and threshold [F], log_threshold [F] or topk_threshold [] where features have
one. b_dec is subtracted from the input unless `apply_b_dec_to_input` says no.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vsc_eval.files import write_text
from vsc_eval.sae.model import SAE, Activation
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout, read_any_sae
from vsc_eval.sae.readers.files import (
    fold_decoder_norm,
    layer_of_hook,
    read_from,
    read_json,
    read_tensors,
    refuse,
    write_tensors,
)

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"

SIGNED_TOPK = "topk_signed"
"""Our own architecture name for a top-k without ReLU, which SAELens does not have: it refuses the name."""
OWN_CONFIG = "vsc_eval_config"
"""Key of the metadata that holds what SAELens' own keys cannot say."""

_WIDTHS = ("d_in", "d_sae")

_TO_ACTIVATION: dict[str, Activation] = {
    "topk": "topk",
    SIGNED_TOPK: "topk",
    "standard": "relu",
    "jumprelu": "jumprelu",
    "batchtopk": "batchtopk",
    "matryoshka_batchtopk": "batchtopk",
}
_TO_ARCHITECTURE: dict[Activation, str] = {
    "topk": "topk",
    "relu": "standard",
    "jumprelu": "jumprelu",
    # At inference a batch-top-k SAE is a JumpReLU with one threshold, and SAELens stores it so.
    "batchtopk": "jumprelu",
}


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read the SAE in folder `path`. Raises DataError for what is damaged or unknown."""
    config_file, weights_file = path / CONFIG_FILE, path / WEIGHTS_FILE
    config = read_json(config_file)
    metadata = config["metadata"] if isinstance(config.get("metadata"), dict) else {}
    fields = _fields(config, config_file)
    own = metadata.get(OWN_CONFIG)
    fields |= own if isinstance(own, dict) else {}
    weights = read_tensors(weights_file)
    if "threshold" not in weights:
        if "log_threshold" in weights:
            weights["threshold"] = weights["log_threshold"].exp()
        elif "topk_threshold" in weights:
            weights["threshold"] = weights["topk_threshold"]
    # Before version 6 the names stood at the top of the config.
    hook = next((str(place["hook_name"]) for place in (metadata, config) if place.get("hook_name")), None)
    layer = metadata["layer"] if isinstance(metadata.get("layer"), int) else layer_of_hook(hook)
    read = read_from(
        "saelens",
        weights_file,
        weights,
        options,
        layer=layer,
        hook=hook,
        metadata=metadata,
        config_file=config_file,
        **fields,
    )
    options.agreed("k", read.sae.cfg.k, weights_file)
    if config.get("rescale_acts_by_decoder_norm"):
        fold_decoder_norm(read.sae)
    return read


def _fields(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Of SAEConfig, from SAELens' own keys. Raises DataError for what we cannot represent."""
    architecture, k = config.get("architecture"), config.get("k")
    activation_fn = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    if activation_fn == "topk" and architecture in (None, "standard"):
        # Before version 6 a Top-K SAE was a "standard" one with this activation; as ReLU it would fire far too much.
        architecture, k = "topk", (config.get("activation_fn_kwargs") or {}).get("k", k)
    normalization, reshaping = (config.get(f"{how}_activations", "none") for how in ("normalize", "reshape"))
    supported, relu = f"Use an SAE of architecture {', '.join(_TO_ACTIVATION)}.", "Use an SAE with ReLU."
    normalized = f": the SAE expects activations normalised by {normalization!r}"
    fold = "Fold it into the weights (SAELens: `fold_activation_norm_scaling_factor`) and save again."
    reshaped = f": the SAE reads activations reshaped by {reshaping!r}, not the residual stream"
    scaled = ": the SAE has a finetuning_scaling_factor, which is not supported"
    multiply = "Multiply the rows of W_dec by it in SAELens and save again."
    refuse(
        path,
        (architecture not in _TO_ACTIVATION, f": architecture {architecture!r} is not supported", supported),
        (activation_fn not in ("relu", "topk"), f": activation {activation_fn!r} is not supported", relu),
        (normalization not in ("none", None, False), normalized, fold),
        (reshaping not in ("none", None), reshaped, "Use an SAE of a decoder layer's output."),
        (config.get("finetuning_scaling_factor"), scaled, multiply),
        *((key not in config, f" lacks the key '{key}'", "Add it, or train the SAE again.") for key in _WIDTHS),
    )
    activation = _TO_ACTIVATION[str(architecture)]
    return {
        **{key: config[key] for key in _WIDTHS},
        # The mean L0 of a batch-top-k SAE need not be whole, and its inference does not use it.
        "k": None if activation == "batchtopk" else k,
        "activation": activation,
        "apply_b_dec_to_input": config.get("apply_b_dec_to_input", True),
        "topk_relu": architecture != SIGNED_TOPK,
    }


def load_sae(folder: Path, *, d_model: int | None = None) -> SAE:
    """Read an SAE of ours, as float32 on the CPU, without gradients. Raises as `read_any_sae`."""
    return read_any_sae(folder, d_model=d_model, layout="saelens").sae


def read_sae_metadata(folder: Path) -> dict[str, Any]:
    """The `metadata` that `save_sae` stored. Raises DataError if it cannot be read."""
    metadata = read_json(folder / CONFIG_FILE).get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}


def save_sae(sae: SAE, folder: Path, extra_cfg: Mapping[str, Any] | None = None) -> None:
    """Write `sae` to `folder`, so that SAELens loads it too. `extra_cfg` (JSON-able) becomes the config's `metadata`. A
    top-k without ReLU, which SAELens does not have, gets an architecture that it refuses. Raises BackendError if the
    folder cannot be written."""
    cfg = sae.cfg
    metadata: dict[str, Any] = {**(extra_cfg or {}), "vsc_eval_fingerprint": sae.fingerprint()}
    # The metadata of another SAE may carry this key; here it would make the SAE another one.
    metadata.pop(OWN_CONFIG, None)
    if cfg.activation == "batchtopk":
        metadata[OWN_CONFIG] = {"activation": cfg.activation, "k": cfg.k}
    config: dict[str, Any] = {
        "architecture": _TO_ARCHITECTURE[cfg.activation] if cfg.topk_relu else SIGNED_TOPK,
        "d_in": cfg.d_in,
        "d_sae": cfg.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": cfg.apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": metadata,
    }
    if cfg.activation == "topk":
        config |= {"k": cfg.k, "rescale_acts_by_decoder_norm": False}
    write_tensors(folder / WEIGHTS_FILE, sae.state_dict())
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")


SAELENS = SAELayout("saelens", is_weights=WEIGHTS_FILE.__eq__, read=read, reads_folder=True)
