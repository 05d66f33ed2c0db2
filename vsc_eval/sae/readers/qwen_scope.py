"""SAEs of Qwen-Scope."""

import re
from pathlib import Path

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import read_from, read_tensors, refuse, renamed

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
