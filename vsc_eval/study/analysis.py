"""Every pair of sets: the excess of its union over its parts, its tests, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vsc_eval.harness.results import Figure
from vsc_eval.stats import (
    Estimate,
    adjust,
    bootstrap_many,
    cluster_standard_errors,
    detectable_difference,
    extreme_p,
    sign_flip,
    stream,
)
from vsc_eval.stats.bootstrap import Floats
from vsc_eval.stats.interaction import Formula, additive, bliss, over_larger, over_mean, under_smaller
from vsc_eval.study import names
from vsc_eval.study.analysis_controls import control_tests
from vsc_eval.study.arrays import AnswerArrays
from vsc_eval.study.records import ControlTest, PairRow, Verdict
from vsc_eval.study.spec import ControlKind, Form, Pair, StudySpec
from vsc_eval.study.verdict import Evidence, Ruling, decide


def analyse(
    table: AnswerArrays, control_table: AnswerArrays | None, spec: StudySpec
) -> tuple[tuple[PairRow, ...], tuple[ControlTest, ...]]:
    """All pairs and all control tests. `table` has the sweep's conditions on all items; `control_table` those of the
    verdict's edit and the control draws' on the control items, None where the study has no controls."""
    controls = () if control_table is None else control_tests(control_table, spec)
    return pair_rows(table, spec, controls), controls


def pair_rows(table: AnswerArrays, spec: StudySpec, controls: Sequence[ControlTest] = ()) -> tuple[PairRow, ...]:
    """A row for each edit, form and pair; those of the verdict's edit have a verdict, for which `controls` are used."""
    rows: list[PairRow] = []
    for edit in spec.sweep.edits:
        raw = _rows(table, spec, edit, "raw")
        rulings: dict[Pair, Ruling] = {}
        if edit == spec.verdict.edit:
            against = _family_p(controls)
            rulings = {row.parts: _ruling(row, spec, against) for row in raw}
        rows += [_ruled(row, rulings.get(row.parts)) for row in raw]
        if spec.sweep.norm_match:
            for row in _rows(table, spec, edit, "norm_matched"):
                above = rulings.get(row.parts)
                rows.append(_ruled(row, _ruling(row, spec, {}, above.verdict) if above else None))
    return tuple(rows)


@dataclass(frozen=True)
class _Excess:
    """How a form measures the excess of drift (of means), and of accuracy."""

    drift: Formula
    accuracy: Formula
    linear: Formula | None
    """The formula on single items, where the excess of means is the mean of the items' excesses."""


_RAW = _Excess(additive, additive, additive)
_MATCHED = {
    "mean": _Excess(over_mean, over_mean, over_mean),
    "max": _Excess(over_larger, under_smaller, None),
}


def _rows(table: AnswerArrays, spec: StudySpec, edit: str, form: Form) -> tuple[PairRow, ...]:
    pairs, matched = spec.pairs, spec.sweep.norm_match
    tasks = [task for task in spec.tasks if any(task in pair for pair in pairs)]
    singles = [names.single(task, edit) for task in tasks]
    unions = [names.union(a, b, edit, matched if form == "norm_matched" else None) for a, b in pairs]
    conditions = [*singles, *unions]
    excess = _RAW if form == "raw" else _MATCHED[matched or "mean"]
    changed, gain = table.changed(conditions), table.gain(conditions)
    a, b = (np.array([tasks.index(pair[side]) for pair in pairs]) for side in (0, 1))
    union = len(tasks) + np.arange(len(pairs))
    estimates = _estimates(table, spec, changed, gain, (a, b, union), excess)
    p_drift, detectable_drift = _test(table, spec, changed, (a, b, union), excess.linear, beyond=1)
    p_accuracy, detectable_accuracy = _test(table, spec, gain, (a, b, union), excess.linear, beyond=-1)
    adjusted = adjust([*p_drift, *p_accuracy], spec.verdict.correction)
    return tuple(
        PairRow(
            parts=pair,
            edit=edit,
            form=form,
            union=unions[i],
            n=len(table.item_ids),
            n_clusters=estimates["drift"][i].n_clusters,
            drift=figure(estimates["drift"][i]),
            difference=figure(estimates["difference"][i]),
            drift_excess=figure(estimates["drift_excess"][i]),
            drift_bliss=figure(estimates["bliss"][i]) if form == "raw" else None,
            accuracy_excess=figure(estimates["accuracy_excess"][i]),
            p_drift=p_drift[i],
            p_accuracy=p_accuracy[i],
            p_drift_adjusted=adjusted[i],
            p_accuracy_adjusted=adjusted[len(pairs) + i],
            detectable_drift=detectable_drift[i],
            detectable_accuracy=detectable_accuracy[i],
            verdict=None,
            decided_by=None,
        )
        for i, pair in enumerate(pairs)
    )


_Places = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows of A, of B and of their union, [pairs] each."""


def _estimates(
    table: AnswerArrays, spec: StudySpec, changed: Floats, gain: Floats, places: _Places, excess: _Excess
) -> dict[str, tuple[Estimate, ...]]:
    """Five estimates of every pair, [pairs] each, all under the same draws of clusters."""
    n, (a, b, union) = len(changed), places
    drift, gained = (a, b, union), (n + a, n + b, n + union)
    formulas = {
        "drift_excess": (excess.drift, drift),
        "bliss": (bliss, drift),
        "accuracy_excess": (excess.accuracy, gained),
    }

    def figures(means: Floats) -> Floats:
        parts = [means[..., union], means[..., n + union]]
        parts += [formula(*(means[..., rows] for rows in triple)) for formula, triple in formulas.values()]
        return np.concatenate(parts, axis=-1)

    found = bootstrap_many(
        np.concatenate([changed, gain]),
        table.clusters,
        stream(spec.seed, "study", "pairs", "bootstrap"),
        statistic=figures,
        draws=spec.statistics.draws,
        level=spec.statistics.level,
    )
    k = len(a)
    return {name: found[i * k : (i + 1) * k] for i, name in enumerate(("drift", "difference", *formulas))}


def _test(
    table: AnswerArrays, spec: StudySpec, values: Floats, places: _Places, linear: Formula | None, *, beyond: int
) -> tuple[list[float | None], list[float | None]]:
    """Sign-flip p and smallest detectable excess of every pair; `values` [conditions, items]."""
    a, b, union = (values[rows] for rows in places)
    contrasts = [linear(a, b, union)] if linear else [union - a, union - b]
    tests = [
        sign_flip(
            contrast,
            table.clusters,
            stream(spec.seed, "study", "pairs", "sign flips"),
            draws=spec.statistics.permutations,
        ).p_values
        for contrast in contrasts
    ]
    errors = [cluster_standard_errors(contrast, table.clusters) for contrast in contrasts]
    if linear:
        return list(tests[0]), _detectable(errors[0], len(a))
    gap_a, gap_b = (contrast.mean(axis=1) for contrast in contrasts)
    p = [
        extreme_p(p_a, p_b, x, y, beyond=beyond)
        for p_a, p_b, x, y in zip(*tests, gap_a.tolist(), gap_b.tolist(), strict=True)
    ]
    # The excess is the gap to the part that is the larger (or the smaller) one, and has its standard error.
    a_is_extreme = beyond * gap_a <= beyond * gap_b
    of_a, of_b = (_detectable(error, len(a)) for error in errors)
    return p, [x if first else y for x, y, first in zip(of_a, of_b, a_is_extreme, strict=True)]


def _detectable(errors: Floats | None, n: int) -> list[float | None]:
    return [None] * n if errors is None else [detectable_difference(float(error)) for error in errors]


_FamilyP = Mapping[tuple[Pair, str], Mapping[ControlKind, float | None]]


def _family_p(controls: Sequence[ControlTest]) -> _FamilyP:
    found: dict[tuple[Pair, str], dict[ControlKind, float | None]] = {}
    for test in controls:
        if test.effect == "excess":
            a, b = test.sets
            found.setdefault(((a, b), test.outcome), {})[test.kind] = test.p_family
    return found


def _ruling(row: PairRow, spec: StudySpec, against: _FamilyP, raw_verdict: Verdict | None = None) -> Ruling:
    evidence = []
    for outcome in spec.verdict.outcomes:
        found = row.drift_excess if outcome == "drift" else row.accuracy_excess
        assert found.value is not None
        evidence.append(
            Evidence(
                outcome=outcome,
                excess=found.value,
                low=found.low,
                high=found.high,
                n_clusters=row.n_clusters,
                p_adjusted=row.p_drift_adjusted if outcome == "drift" else row.p_accuracy_adjusted,
                family_p=against.get((row.parts, outcome), {}),
            )
        )
    return decide(evidence, spec.verdict, level=spec.statistics.level, raw_verdict=raw_verdict)


def _ruled(row: PairRow, ruling: Ruling | None) -> PairRow:
    if ruling is None:
        return row
    return row.model_copy(update={"verdict": ruling.verdict, "decided_by": ruling.decided_by})


def figure(estimate: Estimate) -> Figure:
    """The estimate as a record."""
    return Figure(**dataclasses.asdict(estimate))
