"""Every combined edit of two sets against its parts: what it does that they do not lead one to expect."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from vsc_eval.analysis.controls import Outcome
from vsc_eval.analysis.groups import resampled
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition, Floats
from vsc_eval.records import Record
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import EditSpec
from vsc_eval.stats import Figure, adjust, stream
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

    def interaction(self, outcome: Outcome) -> tuple[Figure, float | None]:
        """That of the outcome, and its adjusted p."""
        if outcome == "drift":
            return self.drift_interaction, self.p_drift_adjusted
        return self.accuracy_interaction, self.p_accuracy_adjusted


_FIGURES = ("drift", "difference", "drift_interaction", "drift_bliss", "accuracy_interaction")
_FORMULAS: dict[str | None, tuple[Formula, Formula]] = {
    None: (additive, additive),
    "mean": (over_mean, over_mean),
    "max": (over_larger, under_smaller),
}
"""How the interactions of drift and of accuracy are measured, by the reference that the norm was matched to; None: it
was not. Where both are one formula it is linear: the interaction of means is the mean of the items' interactions."""

_Triple = tuple[AskedCondition, AskedCondition, AskedCondition]
"""A, B and A+B."""


def interactions(table: AnswerTable, statistics: StatisticsSpec) -> tuple[InteractionRow, ...]:
    """A row for each combined edit of two sets whose parts were asked with the same edit, norm matching aside: edit by
    edit in the table's order, and of each the raw ones first.

    Intervals of an edit and form are under the same draws of clusters, from streams that are named by the seed alone.
    """
    families = _families(table.conditions)
    return tuple(row for reference, family in families for row in _rows(table, statistics, reference, family))


def _families(conditions: Sequence[AskedCondition]) -> Iterator[tuple[str | None, list[_Triple]]]:
    """The combined edits that are tested together, those of one edit and form, with the reference of their norm
    matching. Control draws are not among them."""
    asked = [condition for condition in conditions if condition.control_kind is None]
    singles = {(c.spec.sets[0], c.spec.edit): c for c in asked if c.role == "single"}
    found: dict[EditSpec, dict[str | None, list[_Triple]]] = {}
    for condition in asked:
        done = condition.spec.edit
        if len(condition.spec.sets) != 2 or done is None:
            continue
        edit = done.model_copy(update={"norm_match": None})
        a, b = (singles.get((name, edit)) for name in condition.spec.sets)
        if a and b:
            reference = done.norm_match.reference if done.norm_match else None
            found.setdefault(edit, {}).setdefault(reference, []).append((a, b, condition))
    for forms in found.values():
        yield from sorted(forms.items(), key=lambda form: form[0] is not None)


def _rows(
    table: AnswerTable, statistics: StatisticsSpec, reference: str | None, family: Sequence[_Triple]
) -> Iterator[InteractionRow]:
    names, n_pairs = list(dict.fromkeys(c.name for triple in family for c in triple)), len(family)
    a, b, both = ([names.index(c.name) for c in side] for side in zip(*family, strict=True))
    changed, gain = table.changed(names), table.gain(names)
    of_drift, of_accuracy = _FORMULAS[reference]

    def of_means(means: Floats) -> Floats:
        halves = means[..., : len(names)], means[..., len(names) :]
        drift, gained = ([half[..., rows] for rows in (a, b, both)] for half in halves)
        return np.concatenate([drift[2], gained[2], of_drift(*drift), bliss(*drift), of_accuracy(*gained)], axis=-1)

    values = np.concatenate([changed, gain])
    found = resampled(values, table, statistics, ("study", "pairs", "bootstrap"), statistic=of_means)
    if of_drift is of_accuracy:
        contrasts = [of_drift(part[a], part[b], part[both]) for part in (changed, gain)]
        tests = _tests(np.concatenate(contrasts), table, statistics)
    else:
        over_parts = [part[both] - part[one] for one in (a, b) for part in (changed, gain)]
        over = _tests(np.concatenate(over_parts), table, statistics)
        beyond = [1] * n_pairs + [-1] * n_pairs
        tests = list(map(_beyond_both, over[: 2 * n_pairs], over[2 * n_pairs :], beyond))
    adjusted = adjust([test.p for test in tests], statistics.correction)
    for i, (one, other, combined) in enumerate(family):
        assert combined.edit is not None
        figures: dict[str, Figure | None] = dict(zip(_FIGURES, found[i::n_pairs], strict=True))
        drift, accuracy = tests[i], tests[n_pairs + i]
        yield InteractionRow(
            parts=(one.spec.sets[0], other.spec.sets[0]),
            part_conditions=(one.name, other.name),
            condition=combined.name,
            edit=combined.edit,
            form="raw" if reference is None else "norm_matched",
            n=len(table.items),
            n_clusters=found[i].n_clusters,
            **(figures if reference is None else {**figures, "drift_bliss": None}),
            p_drift=drift.p,
            p_accuracy=accuracy.p,
            p_drift_adjusted=adjusted[i],
            p_accuracy_adjusted=adjusted[n_pairs + i],
            detectable_drift=drift.detectable,
            detectable_accuracy=accuracy.detectable,
        )


class _Test(NamedTuple):
    p: float | None
    value: float
    detectable: float | None


def _tests(contrasts: Floats, table: AnswerTable, statistics: StatisticsSpec) -> list[_Test]:
    """Of each contrast [contrasts, items], all under the same sign flips."""
    rng = stream(statistics.seed, "study", "pairs", "sign flips")
    p = sign_flip(contrasts, table.clusters, rng, draws=statistics.permutations)
    detectable = detectable_differences(contrasts, table.clusters)
    return list(map(_Test, p, contrasts.mean(axis=1).tolist(), detectable))


def _beyond_both(over_a: _Test, over_b: _Test, beyond: int) -> _Test:
    """Of the combined edit less the larger part, with `beyond` = 1, or less the smaller, with -1."""
    p = extreme_p(over_a.p, over_b.p, over_a.value, over_b.value, beyond=beyond)
    # The interaction is the gap to the larger (or the smaller) part, and has its standard error.
    extreme = over_a if beyond * over_a.value <= beyond * over_b.value else over_b
    return extreme._replace(p=p)
