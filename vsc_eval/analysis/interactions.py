"""Every combined edit of two sets against its parts: what it does that they do not lead one to expect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vsc_eval.answers.answer_table import AnswerTable, AskedCondition, Floats
from vsc_eval.records import Record
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import EditSpec
from vsc_eval.stats import Figure, adjust, bootstrap_many, stream
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.drift import Formula, additive, bliss, over_larger, over_mean, under_smaller
from vsc_eval.stats.significance import extreme_p, sign_flip

Form = Literal["raw", "norm_matched"]
Verdict = Literal["interference", "none", "not enough evidence"]


class InteractionRow(Record):
    """A combined edit of two sets against its parts, on all items."""

    parts: tuple[str, str]
    """The two sets."""
    part_conditions: tuple[str, str]
    """The conditions that have one of them each, with the same edit."""
    condition: str
    """That of the combined edit."""
    edit: str
    """See AskedCondition.edit."""
    form: Form
    n: int
    n_clusters: int
    drift: Figure
    """Of the combined edit."""
    difference: Figure
    """Accuracy under the combined edit less the baseline's."""
    drift_interaction: Figure
    """raw: D(A+B) - D(A) - D(B). norm_matched: D(A+B) less the mean (or the larger) of D(A), D(B), as the norm is."""
    drift_bliss: Figure | None
    """raw only: D(A+B) - (D(A) + D(B) - D(A) D(B))."""
    accuracy_interaction: Figure
    """raw: d(A+B) - d(A) - d(B). norm_matched: d(A+B) less the mean (or the smaller) of d(A), d(B)."""
    p_drift: float | None
    p_accuracy: float | None
    """Sign-flip tests of the two interactions, two-sided."""
    p_drift_adjusted: float | None
    p_accuracy_adjusted: float | None
    """Over all pairs and outcomes of this edit and form."""
    detectable_drift: float | None
    detectable_accuracy: float | None
    """Smallest interaction that such a run finds with power 0.8 at level 0.05, one test alone."""
    verdict: Verdict | None = None
    """Of a study, and only under the verdict's edit. A norm_matched pair has no controls of its own and stands on those
    of the raw combined edit: it interferes only where that does."""
    decided_by: str | None = None
    """The numbers that decided it, in words."""


@dataclass(frozen=True)
class _Formulas:
    """How a form measures the interaction of drift (of means), and of accuracy."""

    drift: Formula
    accuracy: Formula
    linear: Formula | None
    """The formula on single items, where the interaction of means is the mean of the items' interactions."""


_FORMULAS = {
    None: _Formulas(additive, additive, additive),
    "mean": _Formulas(over_mean, over_mean, over_mean),
    "max": _Formulas(over_larger, under_smaller, None),
}
"""By the reference that the norm was matched to; None: it was not."""


def interactions(table: AnswerTable, statistics: StatisticsSpec) -> tuple[InteractionRow, ...]:
    """A row for each combined edit of two sets whose parts were asked with the same edit, norm matching aside: edit by
    edit in the table's order, and of each the raw ones first.

    Intervals of an edit and form are under the same draws of clusters, from streams that are named by the seed alone.
    """
    return tuple(row for family in _families(table) for row in _rows(table, statistics, family))


_Members = list[tuple[AskedCondition, tuple[AskedCondition, AskedCondition]]]
"""Combined edits, each with its two parts."""


def _by_form(conditions: Sequence[AskedCondition]) -> Iterator[tuple[str | None, _Members]]:
    """For each edit and form the reference of its norm matching, and its members. Control draws are not among them."""
    asked = [condition for condition in conditions if condition.control_kind is None]
    singles = {(c.spec.sets[0], c.spec.edit): c for c in asked if c.role == "single"}
    found: dict[EditSpec, dict[str | None, _Members]] = {}
    for condition in asked:
        done = condition.spec.edit
        if len(condition.spec.sets) != 2 or done is None:
            continue
        edit = done.model_copy(update={"norm_match": None})
        a, b = (singles.get((name, edit)) for name in condition.spec.sets)
        if a and b:
            reference = done.norm_match.reference if done.norm_match else None
            found.setdefault(edit, {}).setdefault(reference, []).append((condition, (a, b)))
    for forms in found.values():
        yield from sorted(forms.items(), key=lambda form: form[0] is not None)


_Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Family:
    """The combined edits that are tested together: those of one edit and form."""

    combined: tuple[AskedCondition, ...]
    parts: tuple[tuple[AskedCondition, AskedCondition], ...]
    formulas: _Formulas
    form: Form
    conditions: tuple[str, ...]
    """Parts and combined edits, in the order of the rows below."""
    places: tuple[_Rows, _Rows, _Rows]
    """Rows of A, of B and of A+B, [pairs] each."""


def _families(table: AnswerTable) -> Iterator[_Family]:
    for reference, members in _by_form(table.conditions):
        combined, parts = [own for own, _ in members], [pair for _, pair in members]
        conditions = tuple(dict.fromkeys(c.name for own, pair in members for c in (*pair, own)))
        sides = ([a.name for a, _ in parts], [b.name for _, b in parts], [own.name for own in combined])
        a, b, both = (np.array([conditions.index(name) for name in names], dtype=np.intp) for names in sides)
        yield _Family(
            combined=tuple(combined),
            parts=tuple(parts),
            formulas=_FORMULAS[reference],
            form="raw" if reference is None else "norm_matched",
            conditions=conditions,
            places=(a, b, both),
        )


def _rows(table: AnswerTable, statistics: StatisticsSpec, family: _Family) -> Iterator[InteractionRow]:
    changed, gain = table.changed(family.conditions), table.gain(family.conditions)
    figures = _figures(table, statistics, changed, gain, family)
    (p_drift, detectable_drift), (p_accuracy, detectable_accuracy) = _tests(table, statistics, (changed, gain), family)
    adjusted = adjust([*p_drift, *p_accuracy], statistics.correction)
    for i, (condition, (a, b)) in enumerate(zip(family.combined, family.parts, strict=True)):
        assert condition.edit is not None
        yield InteractionRow(
            parts=(a.spec.sets[0], b.spec.sets[0]),
            part_conditions=(a.name, b.name),
            condition=condition.name,
            edit=condition.edit,
            form=family.form,
            n=len(table.items),
            n_clusters=figures["drift"][i].n_clusters,
            drift=figures["drift"][i],
            difference=figures["difference"][i],
            drift_interaction=figures["drift_interaction"][i],
            drift_bliss=figures["bliss"][i] if family.form == "raw" else None,
            accuracy_interaction=figures["accuracy_interaction"][i],
            p_drift=p_drift[i],
            p_accuracy=p_accuracy[i],
            p_drift_adjusted=adjusted[i],
            p_accuracy_adjusted=adjusted[len(family.combined) + i],
            detectable_drift=detectable_drift[i],
            detectable_accuracy=detectable_accuracy[i],
        )


def _figures(
    table: AnswerTable, statistics: StatisticsSpec, changed: Floats, gain: Floats, family: _Family
) -> dict[str, tuple[Figure, ...]]:
    """Five figures of every pair, [pairs] each, all under the same draws of clusters."""
    n, (a, b, both) = len(changed), family.places
    drift, gained = (a, b, both), (n + a, n + b, n + both)
    formulas = {
        "drift_interaction": (family.formulas.drift, drift),
        "bliss": (bliss, drift),
        "accuracy_interaction": (family.formulas.accuracy, gained),
    }

    def of_means(means: Floats) -> Floats:
        parts = [means[..., both], means[..., n + both]]
        parts += [formula(*(means[..., rows] for rows in triple)) for formula, triple in formulas.values()]
        return np.concatenate(parts, axis=-1)

    found = bootstrap_many(
        np.concatenate([changed, gain]),
        table.clusters,
        stream(statistics.seed, "study", "pairs", "bootstrap"),
        statistic=of_means,
        draws=statistics.draws,
        level=statistics.level,
        cluster_name=table.cluster_name,
    )
    k = len(a)
    return {name: found[i * k : (i + 1) * k] for i, name in enumerate(("drift", "difference", *formulas))}


_Test = tuple[list[float | None], list[float | None]]
"""Sign-flip p and smallest detectable interaction of every pair."""


def _tests(
    table: AnswerTable, statistics: StatisticsSpec, outcomes: tuple[Floats, Floats], family: _Family
) -> tuple[_Test, _Test]:
    """Of drift and of accuracy, from what changed and what was gained, [conditions, items] each."""
    contrasts, linear = [], family.formulas.linear
    for values in outcomes:
        a, b, both = (values[rows] for rows in family.places)
        contrasts += [linear(a, b, both)] if linear else [both - a, both - b]
    rng = stream(statistics.seed, "study", "pairs", "sign flips")
    flipped = sign_flip(np.concatenate(contrasts), table.clusters, rng, draws=statistics.permutations)
    k = len(family.combined)
    parts = [
        _Contrast(
            list(flipped[i * k : (i + 1) * k]), values.mean(axis=1), detectable_differences(values, table.clusters)
        )
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
    """Of the combined edit less the larger part, with `beyond` = 1, or less the smaller, with -1."""
    gaps_a, gaps_b = over_a.value.tolist(), over_b.value.tolist()
    p = [
        extreme_p(p_a, p_b, gap_a, gap_b, beyond=beyond)
        for p_a, p_b, gap_a, gap_b in zip(over_a.p, over_b.p, gaps_a, gaps_b, strict=True)
    ]
    # The interaction is the gap to the larger (or the smaller) part, and has its standard error.
    a_is_extreme = beyond * over_a.value <= beyond * over_b.value
    of_parts = zip(over_a.detectable, over_b.detectable, a_is_extreme, strict=True)
    return p, [of_a if first else of_b for of_a, of_b, first in of_parts]
