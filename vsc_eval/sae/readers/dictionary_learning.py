"""dictionary_learning: `ae.pt` (tensors only) and `config.json`, whose trainer names the class.

| class | tensors | b_dec subtracted | activation |
|---|---|---|---|
| AutoEncoder | encoder.weight [F, d], encoder.bias, decoder.weight [d, F], bias | yes | ReLU; rows made unit on load |
| AutoEncoderNew | encoder.*, decoder.weight [d, F], decoder.bias | no | ReLU |
| AutoEncoderTopK | encoder.*, decoder.weight [d, F], b_dec, k, threshold (not used) | yes | top k |
| BatchTopKSAE | the same | yes | above one threshold |
| MatryoshkaBatchTopKSAE | W_enc [d, F], W_dec [F, d], b_*, k, threshold, group_sizes | yes | above one threshold |
| JumpReluAutoEncoder | W_enc [d, F], W_dec [F, d], b_*, threshold [F] | no | above a feature's threshold |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import SAE, Activation
from vsc_eval.sae.readers.base import SAELayout
from vsc_eval.sae.readers.files import (
    ReadOptions,
    ReadSAE,
    agreed,
    config_of,
    filled,
    fold_decoder_norm,
    matrix,
    read_json,
    read_tensors,
    take,
)

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "ae.pt"

_ACTIVATION: dict[str, Activation] = {
    "AutoEncoder": "relu",
    "AutoEncoderNew": "relu",
    "AutoEncoderTopK": "topk",
    "BatchTopKSAE": "batchtopk",
    "MatryoshkaBatchTopKSAE": "batchtopk",
    "JumpReluAutoEncoder": "jumprelu",
}
_OWN_AXES = ("MatryoshkaBatchTopKSAE", "JumpReluAutoEncoder")
"""Classes whose matrices are W_enc [d, F] and W_dec [F, d]; the others keep those of two Linear layers."""
_NOT_SUBTRACTED = ("AutoEncoderNew", "JumpReluAutoEncoder")


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read folder `path`, or an `ae.pt` file of any name. Raises DataError for what is damaged or unsupported;
    SpecError if the class cannot be told, or an option contradicts the files."""
    weights_file = path / WEIGHTS_FILE if path.is_dir() else path
    config_file = weights_file.with_name(CONFIG_FILE)
    trainer = _trainer(config_file)
    weights = read_tensors(weights_file)
    kind = trainer.get("dict_class") or _class_by_tensors(weights, options, weights_file)
    if kind not in _ACTIVATION:
        raise DataError(f"{config_file}: the class {kind!r} is not supported.", hint=f"Use {', '.join(_ACTIVATION)}.")
    sae = _build(kind, weights, _k(trainer, weights, options, weights_file), weights_file)
    if kind == "AutoEncoder":
        fold_decoder_norm(sae)  # as the library's from_pretrained does
    hook = trainer.get("submodule_name")
    at_output = hook is None or str(hook).startswith("resid_post")
    said = trainer.get("layer") if at_output and isinstance(trainer.get("layer"), int) else None
    layer = agreed("layer", said, options.layer, weights_file)
    return ReadSAE(sae, "dictionary_learning", weights_file, layer, hook, {"trainer": trainer} if trainer else {})


def _trainer(config_file: Path) -> dict[str, Any]:
    if not config_file.exists():
        return {}
    trainer = read_json(config_file).get("trainer")
    if not isinstance(trainer, dict) or "dict_class" not in trainer:
        raise DataError(f"{config_file} does not name the trainer's dict_class.", hint="Restore or remove the file.")
    return trainer


def _class_by_tensors(weights: Mapping[str, Tensor], options: ReadOptions, path: Path) -> str:
    if "group_sizes" in weights:
        return "MatryoshkaBatchTopKSAE"
    if "W_enc" in weights:
        return "JumpReluAutoEncoder"
    if "decoder.bias" in weights:
        return "AutoEncoderNew"
    if "bias" in weights:
        return "AutoEncoder"
    by_activation = {"topk": "AutoEncoderTopK", "batchtopk": "BatchTopKSAE"}
    if options.activation not in by_activation:
        raise SpecError(
            f"{path} has no {CONFIG_FILE} beside it: its tensors are those of a Top-K and of a BatchTopK SAE alike.",
            hint=f"Restore {CONFIG_FILE}, or name the activation: topk or batchtopk.",
        )
    return by_activation[options.activation]


def _k(trainer: Mapping[str, Any], weights: Mapping[str, Tensor], options: ReadOptions, path: Path) -> int | None:
    stored = int(weights["k"]) if "k" in weights else trainer.get("k")
    return agreed("k", stored, options.k, path)


def _build(kind: str, weights: dict[str, Tensor], k: int | None, path: Path) -> SAE:
    if kind in _OWN_AXES:
        own = {name: take(weights, name, path) for name in ("b_enc", "b_dec")}
        own |= {name: matrix(weights, name, path) for name in ("W_enc", "W_dec")}
    else:
        bias = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias"}.get(kind, "b_dec")
        own = {
            "W_enc": matrix(weights, "encoder.weight", path).T.contiguous(),
            "W_dec": matrix(weights, "decoder.weight", path).T.contiguous(),
            "b_enc": take(weights, "encoder.bias", path),
            "b_dec": take(weights, bias, path),
        }
    d_in, d_sae = own["W_enc"].shape
    if _ACTIVATION[kind] in ("jumprelu", "batchtopk"):
        threshold = take(weights, "threshold", path)
        own["threshold"] = threshold.expand(d_sae).clone() if threshold.ndim == 0 else threshold
    cfg = config_of(
        path,
        d_in=d_in,
        d_sae=d_sae,
        k=k if _ACTIVATION[kind] in ("topk", "batchtopk") else None,
        activation=_ACTIVATION[kind],
        apply_b_dec_to_input=kind not in _NOT_SUBTRACTED,
    )
    return filled(cfg, own, path)


LAYOUT = SAELayout("dictionary_learning", is_weights=lambda name: name == WEIGHTS_FILE, read=read)
