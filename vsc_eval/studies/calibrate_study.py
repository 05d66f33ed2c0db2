"""The calibration of the verdict rule on a finished study's own answers: each draw of permuted labels in turn stands
for the real sets, and the other draws are its controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vsc_eval.specs import BASELINE
from vsc_eval.studies import names
from vsc_eval.studies.arrays import AnswerArrays, Codes
from vsc_eval.studies.calibrate import JudgedStudy, judged
from vsc_eval.studies.spec import ControlKind, StudySpec

_KIND: ControlKind = "permuted_labels"


def left_out_draws(control_table: AnswerArrays, spec: StudySpec) -> Iterator[JudgedStudy]:
    """One study for each draw of permuted labels that has all sets and control pairs, on the control items.

    Of the other kinds of control the draw of the same number is left out too, so that all have equally many.
    """
    reduced = _reduced(spec)
    for draw in range(spec.controls.draws):
        real = _as_real(control_table, draw, reduced)
        if real is not None:
            answers = {**_others(control_table, draw, spec), **real, BASELINE: control_table.answers[BASELINE]}
            table = dataclasses.replace(control_table, answers=answers)
            yield judged(table, table, reduced)


def _reduced(spec: StudySpec) -> StudySpec:
    """One draw less, the verdict's edit alone, and the pairs that the draws have."""
    pairs = spec.controls.pairs
    return spec.model_copy(
        update={
            "sweep": spec.sweep.model_copy(update={"edits": (spec.verdict.edit,), "norm_match": None, "pairs": pairs}),
            "controls": spec.controls.model_copy(update={"draws": spec.controls.draws - 1}),
        }
    )


def _as_real(table: AnswerArrays, draw: int, spec: StudySpec) -> dict[str, Codes] | None:
    """The draw's answers under the names of the real sets'; None if any is missing."""
    edit = spec.verdict.edit
    tasks = [task for task in spec.tasks if any(task in pair for pair in spec.control_pairs)]
    renamed = {names.single(task, edit): names.control_single(task, _KIND, draw, edit) for task in tasks}
    renamed |= {names.union(a, b, edit): names.control_union(a, b, _KIND, draw, edit) for a, b in spec.control_pairs}
    if any(name not in table.answers for name in renamed.values()):
        return None
    return {new: table.answers[old] for new, old in renamed.items()}


def _others(table: AnswerArrays, left_out: int, spec: StudySpec) -> dict[str, Codes]:
    """The other draws, numbered without a gap."""
    edit, found = spec.verdict.edit, {}
    kept = [draw for draw in range(spec.controls.draws) if draw != left_out]
    for kind in spec.controls.kinds:
        for new, old in enumerate(kept):
            renamed = [
                (names.control_single(task, kind, new, edit), names.control_single(task, kind, old, edit))
                for task in spec.tasks
            ]
            renamed += [
                (names.control_union(a, b, kind, new, edit), names.control_union(a, b, kind, old, edit))
                for a, b in spec.control_pairs
            ]
            found.update({name: table.answers[was] for name, was in renamed if was in table.answers})
    return found
