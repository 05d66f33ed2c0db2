"""The conditions of a study's sweep and what each stands for."""

from __future__ import annotations

from dataclasses import dataclass

from vsc_eval.answers.answer_table import Role
from vsc_eval.specs import BASELINE
from vsc_eval.studies import names
from vsc_eval.studies.spec import StudySpec


@dataclass(frozen=True)
class SweptCondition:
    """A condition of the sweep."""

    name: str
    role: Role
    sets: tuple[str, ...]
    edit: str | None
    """As in `sweep.edits`; None for the baseline."""


def swept_conditions(spec: StudySpec) -> tuple[SweptCondition, ...]:
    """The baseline; then for each edit the single sets, the unions and the norm-matched unions."""
    found = [SweptCondition(BASELINE, "baseline", (), None)]
    match = spec.sweep.norm_match
    for edit in spec.sweep.edits:
        found += [SweptCondition(names.single(task, edit), "single", (task,), edit) for task in spec.tasks]
        found += [SweptCondition(names.union(*pair, edit), "combined", pair, edit) for pair in spec.pairs]
        if match:
            matched = [(names.union(*pair, edit, match), pair) for pair in spec.pairs]
            found += [SweptCondition(name, "norm_matched", pair, edit) for name, pair in matched]
    return tuple(found)
