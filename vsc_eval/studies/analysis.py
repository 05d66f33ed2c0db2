"""Every pair of sets: the interaction of its union over its parts, its tests, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.results import Figure
from vsc_eval.stats import (
    Figure,
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
from vsc_eval.studies import names
from vsc_eval.studies.analysis_controls import control_tests
from vsc_eval.studies.arrays import AnswerArrays
from vsc_eval.studies.records import ControlTest, PairRow, Verdict
from vsc_eval.studies.spec import ControlKind, Form, Pair, StudySpec
from vsc_eval.studies.verdict import Evidence, Ruling, decide


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
            rulings = {row.parts: ruling(row, spec, against) for row in raw}
        rows += [_ruled(row, rulings.get(row.parts)) for row in raw]
        if spec.sweep.norm_match:
            for row in _rows(table, spec, edit, "norm_matched"):
                above = rulings.get(row.parts)
                rows.append(_ruled(row, ruling(row, spec, {}, above.verdict) if above else None))
    return tuple(rows)


@dataclass(frozen=True)
class _Interaction:
    """How a form measures the interaction of drift (of means), and of accuracy."""

    drift: Formula
    accuracy: Formula
    linear: Formula | None
    """The formula on single items, where the interaction of means is the mean of the items' interactions."""


_RAW = _Interaction(additive, additive, additive)
_MATCHED = {
    "mean": _Interaction(over_mean, over_mean, over_mean),
    "max": _Interaction(over_larger, under_smaller, None),
}


def _rows(table: AnswerArrays, spec: StudySpec, edit: str, form: Form) -> tuple[PairRow, ...]:
    pairs, matched = spec.pairs, spec.sweep.norm_match
    tasks = [task for task in spec.tasks if any(task in pair for pair in pairs)]
    singles = [names.single(task, edit) for task in tasks]
    unions = [names.union(a, b, edit, matched if form == "norm_matched" else None) for a, b in pairs]
    conditions = [*singles, *unions]
    interaction = _RAW if form == "raw" else _MATCHED[matched or "mean"]
    changed, gain = table.changed(conditions), table.gain(conditions)
    a, b = (np.array([tasks.index(pair[side]) for pair in pairs]) for side in (0, 1))
    union = len(tasks) + np.arange(len(pairs))
    estimates = _estimates(table, spec, changed, gain, (a, b, union), interaction)
    tests = _tests(table, spec, (changed, gain), (a, b, union), interaction.linear)
    (p_drift, detectable_drift), (p_accuracy, detectable_accuracy) = tests
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
            drift_interaction=figure(estimates["drift_interaction"][i]),
            drift_bliss=figure(estimates["bliss"][i]) if form == "raw" else None,
            accuracy_interaction=figure(estimates["accuracy_interaction"][i]),
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


_Rows = npt.NDArray[np.intp]
_Places = tuple[_Rows, _Rows, _Rows]
"""Rows of A, of B and of their union, [pairs] each."""


def _estimates(
    table: AnswerArrays, spec: StudySpec, changed: Floats, gain: Floats, places: _Places, interaction: _Interaction
) -> dict[str, tuple[Figure, ...]]:
    """Five estimates of every pair, [pairs] each, all under the same draws of clusters."""
    n, (a, b, union) = len(changed), places
    drift, gained = (a, b, union), (n + a, n + b, n + union)
    formulas = {
        "drift_interaction": (interaction.drift, drift),
        "bliss": (bliss, drift),
        "accuracy_interaction": (interaction.accuracy, gained),
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


_Test = tuple[list[float | None], list[float | None]]
"""Sign-flip p and smallest detectable interaction of every pair."""


def _tests(
    table: AnswerArrays, spec: StudySpec, outcomes: tuple[Floats, Floats], places: _Places, linear: Formula | None
) -> tuple[_Test, _Test]:
    """Of drift and of accuracy, from what changed and what was gained, [conditions, items] each."""
    contrasts = []
    for values in outcomes:
        a, b, union = (values[rows] for rows in places)
        contrasts += [linear(a, b, union)] if linear else [union - a, union - b]
    flipped = sign_flip(
        np.concatenate(contrasts),
        table.clusters,
        stream(spec.seed, "study", "pairs", "sign flips"),
        draws=spec.statistics.permutations,
    ).p_values
    k = len(places[0])
    parts = [
        _Contrast(list(flipped[i * k : (i + 1) * k]), values.mean(axis=1), _detectable(values, table))
        for i, values in enumerate(contrasts)
    ]
    if linear:
        drift, accuracy = parts
        return (drift.p, drift.detectable), (accuracy.p, accuracy.detectable)
    return _beyond_both(parts[0], parts[1], 1), _beyond_both(parts[2], parts[3], -1)


@dataclass(frozen=True, eq=False)
class _Contrast:
    """[pairs] each."""

    p: list[float | None]
    value: Floats
    detectable: list[float | None]


def _beyond_both(over_a: _Contrast, over_b: _Contrast, beyond: int) -> _Test:
    """Of the union less the larger part, with `beyond` = 1, or less the smaller, with -1."""
    gaps_a, gaps_b = over_a.value.tolist(), over_b.value.tolist()
    p = [
        extreme_p(p_a, p_b, gap_a, gap_b, beyond=beyond)
        for p_a, p_b, gap_a, gap_b in zip(over_a.p, over_b.p, gaps_a, gaps_b, strict=True)
    ]
    # The interaction is the gap to the larger (or the smaller) part, and has its standard error.
    a_is_extreme = beyond * over_a.value <= beyond * over_b.value
    of_parts = zip(over_a.detectable, over_b.detectable, a_is_extreme, strict=True)
    return p, [of_a if first else of_b for of_a, of_b, first in of_parts]


def _detectable(values: Floats, table: AnswerArrays) -> list[float | None]:
    errors = cluster_standard_errors(values, table.clusters)
    return [None] * len(values) if errors is None else [detectable_difference(float(error)) for error in errors]


FamilyP = Mapping[tuple[Pair, str], Mapping[ControlKind, float | None]]
"""Of the interaction of each (pair, outcome) against each kind of control."""


def _family_p(controls: Sequence[ControlTest]) -> FamilyP:
    found: dict[tuple[Pair, str], dict[ControlKind, float | None]] = {}
    for test in controls:
        if test.effect == "interaction":
            a, b = test.sets
            found.setdefault(((a, b), test.outcome), {})[test.kind] = test.p_family
    return found


def ruling(row: PairRow, spec: StudySpec, against: FamilyP, raw_verdict: Verdict | None = None) -> Ruling:
    """The verdict's rule on the numbers of a row; `against` has the p of its controls."""
    evidence = []
    for outcome in spec.verdict.outcomes:
        found = row.drift_interaction if outcome == "drift" else row.accuracy_interaction
        assert found.value is not None
        evidence.append(
            Evidence(
                outcome=outcome,
                interaction=found.value,
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


def figure(estimate: Figure) -> Figure:
    """The estimate as a record."""
    return Figure(**dataclasses.asdict(estimate))
