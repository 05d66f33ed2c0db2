"""Qwen-Scope: `layer{n}.sae.pt` (tensors only), one file a decoder layer, in a repository `SAE-Res-...-W{N}K-L0_{k}`.

W_enc [F, d], W_dec [d, F], b_enc [F], b_dec [d]; top k, b_dec not subtracted from the input. No config: k comes from
the folder's name. The model card keeps the top k as they are and SAELens drops the negative ones; they differ only on
tokens with fewer than k positive pre-activations. We follow SAELens unless told `keep_negative`.
"""

import re
from pathlib import Path

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import read_from, read_tensors, renamed

_FILE = re.compile(r"^layer(\d+)\.sae\.pt$")
_NAME = re.compile(r"-W(\d+)K-L0_(\d+)")


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read a `layer{n}.sae.pt`, or the one of `options.layer` in folder `path`.

    Raises SpecError if layer or k cannot be told or contradict the names, DataError for damaged files.
    """
    file = path if path.is_file() else path / f"layer{_layer(path, options)}.sae.pt"
    match = _FILE.match(file.name)
    layer = options.agreed("layer", int(match.group(1)) if match else None, file)
    # A hub snapshot's folder is named by its commit, and the repository's name stands two levels higher.
    named = next((m for part in reversed(file.absolute().parts[:-1]) if (m := _NAME.search(part))), None)
    k = options.agreed("k", int(named.group(2)) if named else None, file)
    if k is None:
        raise SpecError(
            f"Nothing says how many features of {file} fire: no folder above it is named '...-W{{N}}K-L0_{{k}}'.",
            hint="Give k, the number behind L0_ in the repository's name.",
        )
    own = renamed(read_tensors(file), file, W_enc="W_enc.T", W_dec="W_dec.T", b_enc="b_enc", b_dec="b_dec")
    d_sae = own["W_enc"].shape[1]
    if named is not None and d_sae != int(named.group(1)) * 1024:
        raise DataError(
            f"{file} has {d_sae} features, but its folder's name says {named.group(1)} x 1024.",
            hint="Put the file back into its own repository's folder.",
        )
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


def _layer(folder: Path, options: ReadOptions) -> int:
    found = sorted(int(match.group(1)) for file in folder.iterdir() if (match := _FILE.match(file.name)))
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


def _is_weights(name: str) -> bool:
    return name.startswith("layer") and name.endswith(".sae.pt")


LAYOUT = SAELayout("qwen_scope", is_weights=_is_weights, read=read)
