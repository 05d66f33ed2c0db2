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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import Activation
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import fold_decoder_norm, read_from, read_json, read_tensors, renamed

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "ae.pt"


@dataclass(frozen=True)
class _Class:
    """One class of the library, as in the table above."""

    activation: Activation
    b_dec: str = "b_dec"
    """Name of the decoder's bias."""
    own_axes: bool = False
    """Whether its matrices are W_enc [d, F] and W_dec [F, d]; the others keep those of two Linear layers."""
    subtracted: bool = True


_CLASSES = {
    "AutoEncoder": _Class("relu", "bias"),
    "AutoEncoderNew": _Class("relu", "decoder.bias", subtracted=False),
    "AutoEncoderTopK": _Class("topk"),
    "BatchTopKSAE": _Class("batchtopk"),
    "MatryoshkaBatchTopKSAE": _Class("batchtopk", own_axes=True),
    "JumpReluAutoEncoder": _Class("jumprelu", own_axes=True, subtracted=False),
}


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read folder `path`, or an `ae.pt` file of any name. Raises DataError for what is damaged or unsupported;
    SpecError if the class cannot be told, or an option contradicts the files."""
    file = path / WEIGHTS_FILE if path.is_dir() else path
    config_file = file.with_name(CONFIG_FILE)
    trainer = _trainer(config_file)
    weights = read_tensors(file)
    name = trainer.get("dict_class") or _class_by_tensors(weights, options, file)
    if name not in _CLASSES:
        raise DataError(f"{config_file}: the class {name!r} is not supported.", hint=f"Use {', '.join(_CLASSES)}.")
    kind = _CLASSES[name]
    names = {"b_enc": "b_enc" if kind.own_axes else "encoder.bias", "b_dec": kind.b_dec}
    names["W_enc"] = "W_enc" if kind.own_axes else "encoder.weight.T"
    names["W_dec"] = "W_dec" if kind.own_axes else "decoder.weight.T"
    if kind.activation in ("batchtopk", "jumprelu"):
        names["threshold"] = "threshold"
    k = options.agreed("k", int(weights["k"]) if "k" in weights else trainer.get("k"), file)
    hook, layer = trainer.get("submodule_name"), trainer.get("layer")
    at_output = isinstance(layer, int) and (hook is None or str(hook).startswith("resid_post"))
    read = read_from(
        "dictionary_learning",
        file,
        renamed(weights, file, **names),
        options,
        layer=layer if at_output else None,
        hook=hook,
        metadata={"trainer": trainer} if trainer else {},
        k=k if kind.activation in ("topk", "batchtopk") else None,
        activation=kind.activation,
        apply_b_dec_to_input=kind.subtracted,
    )
    if name == "AutoEncoder":
        fold_decoder_norm(read.sae)  # as the library's from_pretrained does
    return read


def _trainer(config_file: Path) -> dict[str, Any]:
    if not config_file.exists():
        return {}
    trainer = read_json(config_file).get("trainer")
    if not isinstance(trainer, dict) or "dict_class" not in trainer:
        raise DataError(f"{config_file} does not name the trainer's dict_class.", hint="Restore or remove the file.")
    return trainer


def _class_by_tensors(weights: Mapping[str, Tensor], options: ReadOptions, path: Path) -> str:
    for tensor, name in (
        ("group_sizes", "MatryoshkaBatchTopKSAE"),
        ("W_enc", "JumpReluAutoEncoder"),
        ("decoder.bias", "AutoEncoderNew"),
        ("bias", "AutoEncoder"),
    ):
        if tensor in weights:
            return name
    by_activation = {"topk": "AutoEncoderTopK", "batchtopk": "BatchTopKSAE"}
    if options.activation not in by_activation:
        raise SpecError(
            f"{path} has no {CONFIG_FILE} beside it: its tensors are those of a Top-K and of a BatchTopK SAE alike.",
            hint=f"Restore {CONFIG_FILE}, or name the activation: topk or batchtopk.",
        )
    return by_activation[options.activation]


LAYOUT = SAELayout("dictionary_learning", is_weights=lambda name: name == WEIGHTS_FILE, read=read)
