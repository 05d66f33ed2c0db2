"""SAEs of dictionary_learning.

In the names of tensors `.T` is the transpose: Linear layers keep [out, in], where W_enc is [d, F] and W_dec [F, d].
"""

from pathlib import Path
from typing import Any

from vsc_eval.errors import SpecError
from vsc_eval.sae.model import Activation
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import OWN_NAMES, fold_decoder_norm, read_from, read_json, read_tensors, refuse, renamed

_LINEAR = {"b_enc": "encoder.bias", "W_enc": "encoder.weight.T", "W_dec": "decoder.weight.T", "b_dec": "b_dec"}
_CLASSES: dict[str, tuple[Activation, bool, dict[str, str]]] = {
    "AutoEncoder": ("relu", True, {**_LINEAR, "b_dec": "bias"}),
    "AutoEncoderNew": ("relu", False, {**_LINEAR, "b_dec": "decoder.bias"}),
    "AutoEncoderTopK": ("topk", True, _LINEAR),
    "BatchTopKSAE": ("batchtopk", True, {**_LINEAR, "threshold": "threshold"}),
    "MatryoshkaBatchTopKSAE": ("batchtopk", True, OWN_NAMES),
    "JumpReluAutoEncoder": ("jumprelu", False, OWN_NAMES),
}
"""The library's class -> activation, whether b_dec is subtracted from the input, and names of tensors."""
_TOLD_BY = {
    "group_sizes": "MatryoshkaBatchTopKSAE",
    "W_enc": "JumpReluAutoEncoder",
    "decoder.bias": "AutoEncoderNew",
    "bias": "AutoEncoder",
}
"""A tensor that only this class has, of those that come after it."""


def _read_dictionary_learning(path: Path, options: ReadOptions) -> ReadSAE:
    """`ae.pt` (tensors only; of any name, if it is the path) and `config.json`, whose trainer names the class."""
    file = path / "ae.pt" if path.is_dir() else path
    config_file = file.with_name("config.json")
    trainer: Any = read_json(config_file).get("trainer") if config_file.exists() else {"dict_class": None}
    unnamed = not isinstance(trainer, dict) or "dict_class" not in trainer
    refuse(config_file, (unnamed, " does not name the trainer's dict_class", "Restore or remove the file."))
    weights = read_tensors(file)
    name = trainer["dict_class"] or next((_TOLD_BY[tensor] for tensor in _TOLD_BY if tensor in weights), None)
    if name is None and options.activation is None:
        raise SpecError(
            f"{file} has no config.json beside it: its tensors are those of a Top-K and of a BatchTopK SAE alike.",
            hint="Restore config.json, or name the activation: topk or batchtopk.",
        )
    name = name or {"topk": "AutoEncoderTopK", "batchtopk": "BatchTopKSAE"}[str(options.activation)]
    unknown = name not in _CLASSES
    refuse(config_file, (unknown, f": the class {name!r} is not supported", f"Use {', '.join(_CLASSES)}."))
    activation, subtracted, names = _CLASSES[name]
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
        metadata={"trainer": trainer} if config_file.exists() else {},
        k=k if activation in ("topk", "batchtopk") else None,
        activation=activation,
        apply_b_dec_to_input=subtracted,
    )
    if name == "AutoEncoder":
        fold_decoder_norm(read.sae)  # as the library's from_pretrained does
    return read


DICTIONARY_LEARNING = SAELayout("dictionary_learning", is_weights="ae.pt".__eq__, read=_read_dictionary_learning)
