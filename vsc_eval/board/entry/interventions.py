"""The intervention that a run edited with, proven to be the same by the hash of every condition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.board.entry.paths import last_part
from vsc_eval.board.records import BoardIntervention
from vsc_eval.errors import DataError


def board_intervention(
    intervention: str | Path,
    conditions: Sequence[AskedCondition],
    *,
    layer: Any,
    sae_fingerprint: Any,
    name: str,
) -> BoardIntervention:
    """The intervention as an entry shows it.

    Raises SpecError if the intervention is not there, DataError if it is not the one of the run: another layer or
    SAE, or, as the conditions' hashes tell, other features.
    """
    # Loads torch: only making an entry needs it, and not checking or building a board.
    from vsc_eval.interventions.edits import compile_condition
    from vsc_eval.interventions.intervention import load_intervention

    loaded = load_intervention(intervention)
    own, sets, sae = loaded.sae.fingerprint(), loaded.sets, loaded.sae
    found = {c.name: compile_condition(c.spec, sets, sae, loaded.spec.layer).content_hash for c in conditions}
    differs = [
        words
        for words, differ in (
            (f"its layer is {loaded.spec.layer} and the run's {layer}", layer != loaded.spec.layer),
            ("its SAE is another", sae_fingerprint != own),
            *((f"its features give another '{c.name}'", c.content_hash != found[c.name]) for c in conditions),
        )
        if differ
    ]
    if differs:
        raise DataError(
            f"The intervention '{last_part(str(intervention))}' is not the one that the run was made with: "
            f"{differs[0]}.",
            hint="Put the run's intervention back, name its folder with --intervention, or make the run again.",
        )
    used = {name for condition in conditions for name in condition.spec.sets}
    return BoardIntervention(
        name=name,
        layer=loaded.spec.layer,
        sae_fingerprint=own,
        sets={name: tuple(feature_set.indices) for name, feature_set in sets.items() if name in used},
    )
