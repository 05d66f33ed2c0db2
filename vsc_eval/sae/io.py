"""Our own SAEs on disk: the SAELens layout, `cfg.json` and `sae_weights.safetensors` in one folder. Never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vsc_eval.errors import SpecError
from vsc_eval.files import replacing
from vsc_eval.sae.model import SAE, Activation
from vsc_eval.sae.readers import check_width, read_any_sae
from vsc_eval.sae.readers.files import read_json
from vsc_eval.sae.readers.saelens import CONFIG_FILE, OWN_CONFIG, SIGNED_TOPK, WEIGHTS_FILE
from vsc_eval.sae.tensors import write_tensors

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "check_width", "load_sae", "read_sae_metadata", "save_sae"]

_TO_ARCHITECTURE: dict[Activation, str] = {
    "topk": "topk",
    "relu": "standard",
    "jumprelu": "jumprelu",
    # At inference a batch-top-k SAE is a JumpReLU with one threshold, and SAELens stores it so.
    "batchtopk": "jumprelu",
}


def save_sae(sae: SAE, folder: Path, extra_cfg: Mapping[str, Any] | None = None) -> None:
    """Write `sae` to `folder`, so that SAELens loads it too. `extra_cfg` (JSON-able) becomes the config's `metadata`.

    A top-k without ReLU, which SAELens does not have, gets an architecture that it refuses. Raises BackendError if the
    folder cannot be written.
    """
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
    with replacing(folder / CONFIG_FILE) as partial:
        partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_sae_metadata(folder: Path) -> dict[str, Any]:
    """The `metadata` that `save_sae` stored. Raises like `load_sae`."""
    if not folder.is_dir():
        raise SpecError(f"There is no SAE folder {folder}.", hint="Check the path, or run `vsc-eval sae train`.")
    metadata = read_json(folder / CONFIG_FILE).get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}


def load_sae(folder: Path, *, d_model: int | None = None) -> SAE:
    """Read an SAE in SAELens layout, as float32 on the CPU, without gradients; see readers/ for the other layouts.

    Raises SpecError if there is no such folder; DataError if a file is missing, truncated, of the wrong shapes or of a
    kind that cannot be represented exactly, and, where `d_model` is given, if the SAE is of another width.
    """
    return read_any_sae(folder, layout="saelens", d_model=d_model).sae
