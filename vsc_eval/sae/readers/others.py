"""SAEs that other libraries wrote, but for SAELens: what their files are called, and which tensor of ours each holds.

In the names of tensors `.T` is the transpose: Linear layers keep [out, in], where W_enc is [d, F] and W_dec [F, d].
"""

import re
from pathlib import Path
from typing import Any

import torch

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import Activation
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import (
    fold_decoder_norm,
    layer_of_hook,
    read_from,
    read_json,
    read_tensors,
    refuse,
    renamed,
)

_SAME = {name: name for name in ("b_enc", "b_dec", "W_enc", "W_dec")}
_NO_SUM = " has a skip connection: its output is not a sum of features"


def _read_sparsify(path: Path, options: ReadOptions) -> ReadSAE:
    """EleutherAI's `Sae` and `SparseCoder`, one folder a hookpoint: top k of ReLU'd pre-activations. b_dec is
    subtracted from the input unless the config says `transcode`; `num_latents` 0 means d_in x expansion_factor."""
    config_file, weights_file = path / "cfg.json", path / "sae.safetensors"
    config = read_json(config_file)
    activation = "signed topk" if config.get("signed") else config.get("activation", "topk")
    refuse(
        config_file,
        *((key not in config, f" lacks the key '{key}'", "Restore the file.") for key in ("d_in", "k")),
        (activation != "topk", f": activation {activation!r} is not supported", "Use a topk one."),
    )
    weights = read_tensors(weights_file)
    skips = "W_skip" in weights or config.get("skip_connection")
    refuse(weights_file, (skips, _NO_SUM, "Use one trained without `skip_connection`."))
    names = {"W_enc": "encoder.weight.T", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
    return read_from(
        "sparsify",
        weights_file,
        renamed(weights, weights_file, **names),
        options,
        layer=layer_of_hook(path.name),
        hook=path.name,
        config_file=config_file,
        d_in=config["d_in"],
        d_sae=config.get("num_latents") or config["d_in"] * config.get("expansion_factor", 32),
        k=options.agreed("k", config["k"], weights_file),
        apply_b_dec_to_input=not config.get("transcode", False),
    )


SPARSIFY = SAELayout("sparsify", is_weights="sae.safetensors".__eq__, read=_read_sparsify, reads_folder=True)

_LINEAR = {"b_enc": "encoder.bias", "W_enc": "encoder.weight.T", "W_dec": "decoder.weight.T", "b_dec": "b_dec"}
_ONE, _EACH = {**_LINEAR, "threshold": "threshold"}, {**_SAME, "threshold": "threshold"}
_CLASSES: dict[str, tuple[Activation, bool, dict[str, str]]] = {
    "AutoEncoder": ("relu", True, {**_LINEAR, "b_dec": "bias"}),
    "AutoEncoderNew": ("relu", False, {**_LINEAR, "b_dec": "decoder.bias"}),
    "AutoEncoderTopK": ("topk", True, _LINEAR),
    "BatchTopKSAE": ("batchtopk", True, _ONE),
    "MatryoshkaBatchTopKSAE": ("batchtopk", True, _EACH),
    "JumpReluAutoEncoder": ("jumprelu", False, _EACH),
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

_QWEN_FILE = re.compile(r"^layer(\d+)\.sae\.pt$")
_QWEN_NAME = re.compile(r"-W(\d+)K-L0_(\d+)")


def _read_qwen_scope(path: Path, options: ReadOptions) -> ReadSAE:
    """Qwen-Scope: `layer{n}.sae.pt` (tensors only), one a decoder layer, in a repository `SAE-Res-...-W{N}K-L0_{k}`.

    No config: k comes from the folder's name. b_dec is not subtracted from the input. The model card keeps the top k as
    they are and SAELens drops the negative ones; they differ only on tokens with fewer than k positive pre-activations.
    We follow SAELens unless told `keep_negative`.
    """
    file = path if path.is_file() else path / f"layer{_qwen_layer(path, options)}.sae.pt"
    match = _QWEN_FILE.match(file.name)
    layer = options.agreed("layer", int(match.group(1)) if match else None, file)
    # A hub snapshot's folder is named by its commit, and the repository's name stands two levels higher.
    named = next((m for part in reversed(file.absolute().parts[:-1]) if (m := _QWEN_NAME.search(part))), None)
    k = options.agreed("k", int(named.group(2)) if named else None, file)
    if k is None:
        raise SpecError(
            f"Nothing says how many features of {file} fire: no folder above it is named '...-W{{N}}K-L0_{{k}}'.",
            hint="Give k, the number behind L0_ in the repository's name.",
        )
    own = renamed(read_tensors(file), file, W_enc="W_enc.T", W_dec="W_dec.T", b_enc="b_enc", b_dec="b_dec")
    d_sae, said = own["W_enc"].shape[1], int(named.group(1)) if named else None
    other = f" has {d_sae} features, but its folder's name says {said} x 1024"
    refuse(file, (said and d_sae != said * 1024, other, "Put the file back into its own repository's folder."))
    return read_from(
        "qwen_scope",
        file,
        own,
        options,
        layer=layer,
        hook=None if layer is None else f"model.layers.{layer}",
        k=k,
        apply_b_dec_to_input=False,
        topk_relu=not options.keep_negative,
    )


def _qwen_layer(folder: Path, options: ReadOptions) -> int:
    found = sorted(int(match.group(1)) for file in folder.iterdir() if (match := _QWEN_FILE.match(file.name)))
    if options.layer is None and len(found) == 1:
        return found[0]
    if not found:
        raise DataError(f"{folder} holds no file layer{{n}}.sae.pt.", hint="Use a folder of Qwen-Scope SAEs.")
    if options.layer not in found:
        asked = "no layer was named" if options.layer is None else f"none is of layer {options.layer}"
        raise SpecError(
            f"{folder} holds SAEs of several layers or of others: {asked}.",
            hint=f"Give one of the layers {', '.join(map(str, found))}.",
        )
    return int(options.layer)


def _is_qwen(name: str) -> bool:
    return name.startswith("layer") and name.endswith(".sae.pt")


QWEN_SCOPE = SAELayout("qwen_scope", is_weights=_is_qwen, read=_read_qwen_scope)

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
        ("affine_skip_connection" in weights, _NO_SUM, "Use an SAE of `resid_post`, not a transcoder."),
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
        renamed(weights, file, **_EACH),
        options,
        layer=int(found.group(1)) if found and not any(word in hook for word in _ELSEWHERE) else None,
        hook=hook if found else None,
        metadata=read_json(config) if config.exists() else {},
        activation="jumprelu",
        apply_b_dec_to_input=False,
    )


GEMMA_SCOPE = SAELayout("gemma_scope", is_weights=_GEMMA_FILES.__contains__, read=_read_gemma_scope)
