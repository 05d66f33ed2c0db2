"""The calibration of the verdict rule on a finished study's own answers: each draw of permuted labels in turn stands
for the real sets, and the other draws are its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vsc_eval.analysis.controls import ControlKind
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition
from vsc_eval.specs import BASELINE
from vsc_eval.studies import names
from vsc_eval.studies.calibrate import JudgedStudy, judged
from vsc_eval.studies.spec import StudySpec

_KIND: ControlKind = "permuted_labels"


def left_out_draws(controls: AnswerTable, spec: StudySpec) -> Iterator[JudgedStudy]:
    """One study for each draw of permuted labels that has all sets and control pairs, on the control items.

    Of the other kinds of control the draw of the same number is left out too, so that all have equally many.
    """
    reduced = _reduced(spec)
    for draw in range(spec.controls.draws):
        real = _as_real(controls, draw, reduced)
        if real is not None:
            yield judged(real, _others(controls, draw), reduced)


def _reduced(spec: StudySpec) -> StudySpec:
    """One draw less, the verdict's edit alone, and the pairs that the draws have."""
    pairs = spec.controls.pairs
    return spec.model_copy(
        update={
            "sweep": spec.sweep.model_copy(update={"edits": (spec.verdict.edit,), "norm_match": None, "pairs": pairs}),
            "controls": spec.controls.model_copy(update={"draws": spec.controls.draws - 1}),
        }
    )


def _as_real(controls: AnswerTable, draw: int, spec: StudySpec) -> AnswerTable | None:
    """The draw's answers under the real sets; None if any is missing."""
    edit = spec.verdict.edit
    wanted = [task for task in spec.tasks if any(task in pair for pair in spec.control_pairs)]
    renamed = {names.control_single(task, _KIND, draw, edit): names.single(task, edit) for task in wanted}
    renamed |= {names.control_union(a, b, _KIND, draw, edit): names.union(a, b, edit) for a, b in spec.control_pairs}
    if any(name not in controls.main.rows for name in renamed):
        return None
    part = controls.under([BASELINE, *renamed])
    conditions = (part.conditions[0], *(_real(c, renamed[c.name]) for c in part.conditions[1:]))
    return replace(part, conditions=conditions, main=replace(part.main, names=tuple(c.name for c in conditions)))


def _real(condition: AskedCondition, name: str) -> AskedCondition:
    spec = condition.spec.model_copy(update={"name": name, "sets": condition.targets})
    return replace(condition, spec=spec, control_kind=None, draw=None)


def _others(controls: AnswerTable, left_out: int) -> AnswerTable:
    """The other draws, numbered without a gap."""
    part = controls.under([condition.name for condition in controls.conditions if condition.draw != left_out])
    return replace(part, conditions=tuple(_moved_up(condition, left_out) for condition in part.conditions))


def _moved_up(condition: AskedCondition, left_out: int) -> AskedCondition:
    after = condition.draw is not None and condition.draw > left_out
    return replace(condition, draw=condition.draw - 1) if after and condition.draw is not None else condition
