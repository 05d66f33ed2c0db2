"""The intervention that a run edited with, proven to be the same by the hash of every condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vsc_eval.board.entry.parts import last_part
from vsc_eval.board.records import BoardIntervention
from vsc_eval.errors import DataError
from vsc_eval.specs import ConditionSpec


def board_intervention(
    intervention: str | Path,
    conditions: Sequence[ConditionSpec],
    *,
    layer: int | None,
    sae_fingerprint: str | None,
    hashes: Mapping[str, str] | None,
    name: str | None = None,
) -> tuple[BoardIntervention, dict[str, str]]:
    """The intervention as an entry shows it, and the hash of each condition.

    Raises SpecError if the intervention is not there, DataError if it is not the one of the run: another layer or
    SAE, or, as `hashes` (condition -> hash) tell, other features.
    """
    # Loads torch: only making an entry needs it, and not checking or building a board.
    from vsc_eval.interventions.edits import compile_condition
    from vsc_eval.interventions.intervention import load_intervention

    loaded = load_intervention(intervention)
    found = {c.name: compile_condition(c, loaded.sets, loaded.sae, loaded.spec.layer).content_hash for c in conditions}
    differs = [
        words
        for words, differ in (
            (f"its layer is {loaded.spec.layer} and the run's {layer}", layer != loaded.spec.layer),
            ("its SAE is another", sae_fingerprint != loaded.sae.fingerprint()),
            *((f"its features give another '{n}'", h != (hashes or found).get(n)) for n, h in found.items()),
        )
        if differ
    ]
    if differs:
        raise DataError(
            f"The intervention '{last_part(str(intervention))}' is not the one that the run was made with: "
            f"{differs[0]}.",
            hint="Put the run's intervention back, name its folder with --intervention, or make the run again.",
        )
    used = {name for condition in conditions for name in condition.sets}
    shown = BoardIntervention(
        name=name or last_part(str(intervention)),
        layer=loaded.spec.layer,
        sae_fingerprint=loaded.sae.fingerprint(),
        sets={name: tuple(feature_set.indices) for name, feature_set in loaded.sets.items() if name in used},
    )
    return shown, found
