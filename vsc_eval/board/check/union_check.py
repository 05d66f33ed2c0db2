"""Intervals and p of unions, drawn anew with the run's own random streams; as slow as intervals of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
from pydantic import ValidationError

from vsc_eval.board.check.interval_check import MEND, MOST_DRAWS, bounds_fault
from vsc_eval.board.check.problem import Finding, differs, number
from vsc_eval.board.check.recount import Recount
from vsc_eval.board.records import Entry, Interval, UnionFigure
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, interaction, stream


def union_findings(entry: Entry, recount: Recount) -> Iterator[Finding]:
    """The first difference of each union. Unions whose parts are not there are another check's."""
    find = _of_run if entry.provenance.source == "run" else _of_study
    for place, field, fault in find(entry, recount):
        yield Finding(f"unions[{place}].{field}", fault, MEND)


def _of_run(entry: Entry, recount: Recount) -> Iterator[tuple[int, str, str]]:
    """As `vsc_eval.analysis.results` does it."""
    base = recount.answers[BASELINE]
    for place, union in enumerate(entry.unions):
        names = (*union.parts, union.union)
        if any(name not in recount.answers for name in names):
            continue
        answers = np.stack([recount.answers[name] for name in names])
        gain = (answers == recount.gold).astype(np.float64) - (base == recount.gold)
        rng = stream(entry.provenance.seed, "interaction")
        found = interaction(answers != base, gain, recount.cluster_names, rng, cluster_name=recount.cluster_kind)
        yield from _first(
            place,
            ("drift_interaction", union.drift_interaction, found.drift),
            ("drift_bliss", union.drift_bliss, found.drift_bliss),
            ("accuracy_interaction", union.accuracy_interaction, found.accuracy),
        )


def _first(place: int, *figures: tuple[str, Interval | None, Figure]) -> Iterator[tuple[int, str, str]]:
    for field, interval, estimate in figures:
        if interval is not None and (fault := bounds_fault(interval, estimate)):
            yield place, field, fault
            return


def _of_study(entry: Entry, recount: Recount) -> Iterator[tuple[int, str, str]]:
    # These load torch, and only a study's unions need them.
    from vsc_eval.studies.analysis import pair_rows
    from vsc_eval.studies.arrays import AnswerArrays, Codes
    from vsc_eval.studies.spec import StudySpec
    from vsc_eval.studies.swept import swept_conditions

    try:
        spec = StudySpec.model_validate(entry.provenance.settings)
    except ValidationError:
        spec = None
    options = spec.statistics if spec else None
    if spec is None or options is None or max(options.draws, options.permutations) > MOST_DRAWS:
        yield 0, "drift_interaction", "it cannot be drawn anew: the settings are no study's that could be computed here"
        return
    if not {condition.name for condition in swept_conditions(spec)} <= recount.answers.keys():
        yield 0, "union", "the settings are of a study with other conditions"
        return
    codes = {text: code for code, text in enumerate(sorted({*recount.gold, *np.unique([*recount.answers.values()])}))}

    def coded(column: np.ndarray[tuple[int, ...], np.dtype[np.object_]]) -> Codes:
        # Only compared, so that it does not matter which code stands for what.
        return cast(Codes, np.array([codes[text] for text in column]))

    table = AnswerArrays(
        item_ids=entry.items.id,
        clusters=recount.cluster_names,
        tasks=recount.tasks.astype(np.str_),
        levels=recount.levels.astype(np.str_),
        gold=coded(recount.gold),
        answers={name: coded(column) for name, column in recount.answers.items()},
    )
    drawn = {row.union: row for row in pair_rows(table, spec.model_copy(update={"seed": entry.provenance.seed}))}
    for place, union in enumerate(entry.unions):
        row = drawn.get(union.union)
        if row is None:
            yield place, "union", "the settings are of a study without it"
            continue
        fault = next(
            (
                (field, found)
                for field, interval, figure in (
                    ("drift_interaction", union.drift_interaction, row.drift_interaction),
                    ("drift_bliss", union.drift_bliss, row.drift_bliss),
                    ("accuracy_interaction", union.accuracy_interaction, row.accuracy_interaction),
                )
                if interval is not None and figure is not None and (found := bounds_fault(interval, figure))
            ),
            None,
        ) or _p_fault(union, row.p_drift_adjusted, row.p_accuracy_adjusted)
        if fault:
            yield place, *fault


def _p_fault(union: UnionFigure, drift: float | None, accuracy: float | None) -> tuple[str, str] | None:
    for field, right in (("p_drift_adjusted", drift), ("p_accuracy_adjusted", accuracy)):
        found = getattr(union, field)
        if differs(found, right):
            return field, f"it is {number(found)}, and the test gives {number(right)}"
    return None
