"""Where in a model an SAE belongs, and its place in an intervention's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.errors import DataError, SpecError
from vsc_eval.features.harvest import Positions, decoder_at
from vsc_eval.sae.io import load_sae, save_sae
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.specs import Spec

_OWN_LAYOUT = "saelens"


class SAESource(Spec):
    """What is known about an SAE besides its files."""

    layout: str = "auto"
    """Of its files: saelens, sparsify, dictionary_learning, qwen_scope, gemma_scope; auto: by their names."""
    layer: int | None = None
    """0-based decoder layer whose output it reads, for files that do not say it or that hold several SAEs."""
    positions: Positions | None = None
    """Prompt tokens that it was trained on, for files that do not say it."""
    hook: str | None = None
    """Subfolder of the SAE, where the folder holds several."""
    k: int | None = None
    """Active features of a Top-K SAE whose files do not say it."""


@dataclass(frozen=True, eq=False)
class SAESite:
    """An SAE with the layer and the tokens that it is for."""

    sae: SAE
    layer: int
    """0-based decoder layer whose output it reads."""
    positions: Positions
    metadata: Mapping[str, Any]
    """What its files say besides."""
    folder: Path
    """Of its weights."""
    as_in_interventions: bool
    """Whether it is in the layout that interventions hold."""


def sae_site(path: Path, vlm: LoadedVLM, source: SAESource) -> SAESite:
    """Read the SAE and find where it belongs: its files say so, or else `source` does.

    Raises SpecError for a layer that the model lacks or where the two contradict each other; DataError if the SAE is
    damaged, of another width or trained on other weights than the model's, or if neither says where it belongs.
    """
    read = read_any_sae(
        path, layout=source.layout, layer=source.layer, hook=source.hook, k=source.k, d_model=vlm.decoder.d_model
    )
    layer = _agreed("layer", read.layer, source.layer, path)
    positions = _agreed("positions", read.metadata.get("positions"), source.positions, path)
    if positions not in get_args(Positions):
        raise DataError(
            f"The SAE in {path} says that its positions are {positions!r}.",
            hint=f"Its metadata may say {', '.join(get_args(Positions))}.",
        )
    trained_on = read.metadata.get("model_fingerprint")
    if trained_on is None and source.layer is None:
        raise DataError(
            f"The SAE in {path} does not say its model_fingerprint.",
            hint=f"If it belongs to '{vlm.name}', say so by giving its layer: --layer {layer}.",
        )
    if trained_on not in (None, vlm.fingerprint):
        raise DataError(
            f"The SAE in {path} was trained on other weights than those of '{vlm.name}'.",
            hint="Train it again with `vsc-eval sae train`, or give the model it was trained on.",
        )
    decoder_at(vlm, layer)
    return SAESite(read.sae, layer, positions, read.metadata, read.path.parent, read.layout == _OWN_LAYOUT)


def _agreed(name: str, told: Any, given: int | str | None, path: Path) -> Any:
    if told is None and given is None:
        raise DataError(
            f"The SAE in {path} does not say its {name}.",
            hint=f"Give --{name}, or use an SAE that `vsc-eval sae train` wrote.",
        )
    if told is not None and given not in (None, told):
        raise SpecError(
            f"The SAE in {path} was trained for {name} {told}, not {given}.",
            hint=f"Leave out --{name}, or train another.",
        )
    return given if told is None else told


def place_sae(site: SAESite, out: Path) -> tuple[str, SAE]:
    """The SAE's path relative to the intervention in `out`, and the SAE as it is read back from there.

    One from elsewhere is copied to `out/sae`, with what is known about it now: an intervention can travel. Raises
    SpecError if files in another layout lie at that place.
    """
    home = out / "sae"
    folder = site.folder.resolve()
    if site.as_in_interventions and folder.is_relative_to(out.resolve()):
        return folder.relative_to(out.resolve()).as_posix(), site.sae
    if folder == home.resolve():
        raise SpecError(
            f"{home} is where the intervention keeps its SAE.", hint="Move the files there to another folder."
        )
    known = {**site.metadata, "layer": site.layer, "positions": site.positions}
    save_sae(site.sae, home, known)
    return "sae", load_sae(home)
