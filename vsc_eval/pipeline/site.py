"""Where in a model an SAE belongs, and its place in a suite's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from vsc_eval.errors import DataError, SpecError
from vsc_eval.pipeline.harvest import Positions, decoder_at
from vsc_eval.sae.io import load_sae, read_sae_metadata, save_sae
from vsc_eval.sae.model import SAE
from vsc_eval.vlm.load import LoadedVLM


@dataclass(frozen=True, eq=False)
class SAESite:
    """An SAE with the layer and the tokens that it is for."""

    sae: SAE
    layer: int
    """0-based decoder layer whose output it reads."""
    positions: Positions
    metadata: Mapping[str, Any]
    """What its files say besides."""


def sae_site(folder: Path, vlm: LoadedVLM, *, layer: int | None, positions: Positions | None) -> SAESite:
    """Read the SAE and find where it belongs: its metadata say so, or else `layer` and `positions` do.

    Raises SpecError for a layer that the model lacks or where the two contradict each other; DataError if the SAE is
    damaged, of another width or trained on other weights than the model's, or if neither says where it belongs.
    """
    sae = load_sae(folder, d_model=vlm.decoder.d_model)
    metadata = read_sae_metadata(folder)
    found_layer = _agreed("layer", metadata.get("layer"), layer, folder)
    found_positions = _agreed("positions", metadata.get("positions"), positions, folder)
    if not isinstance(found_layer, int) or found_positions not in get_args(Positions):
        raise DataError(
            f"The SAE in {folder} says layer {found_layer!r} and positions {found_positions!r}.",
            mend="Mend its metadata, or leave them out and give --layer and --positions.",
        )
    trained_on = metadata.get("model_fingerprint")
    if trained_on is None and layer is None:
        raise DataError(
            f"The SAE in {folder} does not say its model_fingerprint.",
            mend="If it belongs to this model, say so with --layer and --positions.",
        )
    if trained_on not in (None, vlm.fingerprint):
        raise DataError(
            f"The SAE in {folder} was trained on other weights than those of '{vlm.name}'.",
            mend="Train it again with `vsc-eval sae train`, or give the model it was trained on.",
        )
    decoder_at(vlm, found_layer)
    return SAESite(sae, found_layer, found_positions, metadata)


def _agreed(name: str, told: Any, given: int | str | None, folder: Path) -> Any:
    if told is None and given is None:
        raise DataError(
            f"The SAE in {folder} does not say its {name}.",
            mend=f"Give --{name}, or use an SAE that `vsc-eval sae train` wrote.",
        )
    if told is not None and given not in (None, told):
        raise SpecError(
            f"The SAE in {folder} was trained for {name} {told}, not {given}.",
            mend=f"Leave out --{name}, or train another.",
        )
    return given if told is None else told


def place_sae(site: SAESite, folder: Path, out: Path) -> tuple[str, SAE]:
    """The SAE's path relative to the suite in `out`, and the SAE as it is read back from there.

    One from elsewhere is copied to `out/sae`, with what is known about it now: a suite can travel. Saving can turn an
    SAE into an equal one with another fingerprint, and sets must name the one that the suite holds.
    """
    if folder.resolve().is_relative_to(out.resolve()):
        return folder.resolve().relative_to(out.resolve()).as_posix(), site.sae
    known = {**site.metadata, "layer": site.layer, "positions": site.positions}
    save_sae(site.sae, out / "sae", known)
    return "sae", load_sae(out / "sae")
