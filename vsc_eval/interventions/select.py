"""The selection rule: which SAE features are selective for a task, from pooled activations and task labels.

A named score of the task's items against all others, a minimum activation frequency, the top m, ties broken by index.
`SCORES` holds the scores; another package adds one by an entry point of the group `vsc_eval.scores` (see
vsc_eval.registry).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from vsc_eval.errors import DataError, SpecError
from vsc_eval.registry import Registry
from vsc_eval.specs import FeatureSet, Spec

if TYPE_CHECKING:  # torch: a command's options must not load it
    from vsc_eval.interventions.harvest import PooledActivations

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pooling = Literal["mean", "max", "fired"]
Scalar = str | int | float | bool | None

_COLUMNS_AT_ONCE = 128


@dataclass(frozen=True)
class SelectionScore:
    """How selective a feature is for a task: the larger, the more."""

    name: str
    scores: Callable[[Floats, Mask, Mask], Floats]
    """(values [n, F] pooled activations, fired [n, F], in_task [T, n]) -> scores [T, F], finite. A task and its others
    have at least two items each. A feature's score must not depend on other features: columns come in blocks."""
    of_nothing: float
    """The score of a feature that tells nothing about the task; only features above it are chosen."""
    resampled: Callable[[Floats, Floats], Floats] | None = None
    """(values [n, F], groups [R, T, n]: how often an item stands in a task in sample r) -> [R, T, F]: a faster way to
    the same numbers for bootstrap samples. None: `scores` is computed for each sample."""


# A feature without any spread inside the two groups separates them perfectly; scores must stay finite to be stored.
_LARGEST = 1e6


def _diff_of_means(values: Floats, _fired: Mask, in_task: Mask) -> Floats:
    scores = np.empty((len(in_task), values.shape[1]))
    for row, mask in enumerate(in_task):
        task, others = values[mask], values[~mask]
        gap = task.mean(0) - others.mean(0)
        spread = ((task - task.mean(0)) ** 2).sum(0) + ((others - others.mean(0)) ** 2).sum(0)
        floor = np.where(gap == 0, 1.0, np.abs(gap) / _LARGEST)
        scores[row] = gap / np.maximum(np.sqrt(spread / (len(values) - 2)), floor)
    return scores


DIFF_OF_MEANS = SelectionScore("diff_of_means", _diff_of_means, of_nothing=0.0)
"""Difference of the group means over the pooled standard deviation (Cohen's d)."""


def _auroc(values: Floats, _fired: Mask, in_task: Mask) -> Floats:
    found: Floats = _aurocs(values, in_task[None].astype(np.float64), np.ones((1, len(values))))[0]
    return found


def _aurocs(values: Floats, groups: Floats, times: Floats | None = None) -> Floats:
    """`resampled`, by one sort for all; times [R, n]: how often an item stands in any task or in none."""
    n, times = len(values), groups.sum(1) if times is None else times
    order = np.argsort(values, axis=0, kind="stable")
    rising = np.take_along_axis(values, order, axis=0)
    # Places in the order at which the ties of each place begin and end, [n, F].
    begins = np.ones(values.shape, dtype=bool)
    begins[1:] = rising[1:] != rising[:-1]
    ends = np.roll(begins, -1, axis=0)
    places = np.arange(n)[:, None]
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=0)
    last = np.minimum.accumulate(np.where(ends, places, n - 1)[::-1], axis=0)[::-1]
    upto, ranks = np.zeros((n + 1, values.shape[1])), np.empty(values.shape)
    result = np.empty((*groups.shape[:2], values.shape[1]))
    for sample, group in enumerate(groups):
        np.cumsum(times[sample][order], axis=0, out=upto[1:])
        below, within = (np.take_along_axis(upto, at, axis=0) for at in (first, last + 1))
        # From 1, ties in the middle.
        np.put_along_axis(ranks, order, (below + within + 1) / 2, axis=0)
        n_task = group.sum(1, keepdims=True)
        n_others = times[sample].sum() - n_task
        result[sample] = (group @ ranks - n_task * (n_task + 1) / 2) / (n_task * n_others)
    return result


AUROC = SelectionScore("auroc", _auroc, of_nothing=0.5, resampled=_aurocs)
"""Probability that an item of the task has the larger value, ties half (Mann-Whitney)."""


def _frequency_gap(_values: Floats, fired: Mask, in_task: Mask) -> Floats:
    return np.stack([fired[mask].mean(0) - fired[~mask].mean(0) for mask in in_task])


FREQUENCY_GAP = SelectionScore("frequency_gap", _frequency_gap, of_nothing=0.0)
"""Difference of the shares of items that fire the feature. The pooling does not matter to it."""

SCORES: Registry[SelectionScore] = Registry(
    "score",
    "vsc_eval.scores",
    {name: f"{__name__}:{name.upper()}" for name in ("diff_of_means", "auroc", "frequency_gap")},
    SelectionScore,
)


class SelectionRule(Spec):
    """Everything that decides which features are chosen, stored with the sets."""

    score: Annotated[str, AfterValidator(SCORES.valid)] = "auroc"
    """What a feature is ranked by: one of SCORES, or another package's."""
    pooling: Pooling = "mean"
    """How an item's tokens become one value (not used by frequency_gap)."""
    m: int = Field(default=16, gt=0)
    """Features per set."""
    min_frequency: float = Field(default=0.05, ge=0, le=1)
    """Share of the task's items on which a feature must fire."""
    exclusive: bool = True
    """Give a feature only to the task where it scores highest. Sets are then disjoint: a union holds 2 m features, and
    its interaction effect is not that of features which both of its parts edit."""


class TooFewFeaturesError(DataError):
    """A task has fewer eligible features than the rule asks for."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Every feature's score for every task, and where the rule would take it."""

    tasks: tuple[str, ...]
    n_task_items: tuple[int, ...]
    scores: Floats
    """[T, F]"""
    eligible: Mask
    """[T, F], before `exclusive` gives a feature to one task."""

    def chosen(self, rule: SelectionRule) -> tuple[NDArray[np.int64], ...]:
        """Feature indices of each task, best first: m of them, or all if fewer are eligible."""
        eligible = self.eligible
        if rule.exclusive:
            # argmax takes the first of equals: ties between tasks go to the one that comes first.
            best = np.where(eligible, self.scores, -np.inf).argmax(0)
            eligible = eligible & (best == np.arange(len(self.tasks))[:, None])
        # Stable sort of negated scores: equal ones stay in order of their index.
        order = np.argsort(np.where(eligible, -self.scores, np.inf), axis=1, kind="stable")
        return tuple(row[: min(rule.m, mask.sum())] for row, mask in zip(order, eligible, strict=True))


def score_table(
    pooled: PooledActivations, labels: Sequence[str], rule: SelectionRule, *, tasks: Sequence[str] | None = None
) -> ScoreTable:
    """Score every feature for every distinct label, in the order of `tasks`, or of first appearance. `labels` holds the
    task of each row of `pooled`. Raises SpecError for fewer than two tasks, or than two items of a task."""
    assert len(labels) == len(pooled.values), (len(labels), pooled.values.shape)
    tasks = list(dict.fromkeys(labels)) if tasks is None else list(tasks)
    counts = {task: list(labels).count(task) for task in tasks}
    if len(tasks) < 2 or min(counts.values()) < 2:
        raise SpecError(
            f"Selection compares tasks and got {counts}.", hint="Give at least two tasks with at least two items each."
        )
    return score_tables(pooled, labels, tasks, rule, np.ones((1, len(labels)), dtype=np.int64))[0]


def score_tables(
    pooled: PooledActivations,
    labels: Sequence[str],
    tasks: Sequence[str],
    rule: SelectionRule,
    weights: NDArray[np.int64],
    progress: Callable[[int], None] = lambda n: None,
) -> list[ScoreTable]:
    """The score table of each sample in `weights` [R, n], as if each item stood there that many times. `progress` is
    told the number of features just scored."""
    score = SCORES.get(rule.score)
    in_task: Mask = np.array(labels)[None, :] == np.array(tasks)[:, None]
    groups = (weights[:, None, :] * in_task).astype(np.float64)  # [R, T, n]
    sizes = groups.sum(2)
    n_features = pooled.values.shape[1]
    scores = np.empty((*sizes.shape, n_features))
    often = np.empty(scores.shape, dtype=bool)
    for start in range(0, n_features, _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        values = pooled.values[:, columns].cpu().numpy().astype(np.float64)
        fired = pooled.fired[:, columns].cpu().numpy()
        often[:, :, columns] = groups @ fired.astype(np.float64) / sizes[:, :, None] >= rule.min_frequency
        if score.resampled is not None:
            scores[:, :, columns] = score.resampled(values, groups)
        else:
            for sample, times in enumerate(weights):
                rows = np.repeat(np.arange(len(times)), times)
                scores[sample, :, columns] = score.scores(values[rows], fired[rows], in_task[:, rows])
        progress(values.shape[1])
    eligible = (scores > score.of_nothing) & often
    counts = map(tuple, sizes.astype(int).tolist())
    return [ScoreTable(tuple(tasks), *parts) for parts in zip(counts, scores, eligible, strict=True)]


def choose_features(
    table: ScoreTable, rule: SelectionRule, *, provenance: Mapping[str, Scalar] | None = None
) -> tuple[FeatureSet, ...]:
    """One feature set per task of the table, named after it. Raises TooFewFeaturesError naming the task."""
    described: dict[str, Scalar] = {
        "n_items": sum(table.n_task_items),
        **{f"rule_{k}": v for k, v in rule.model_dump().items()},
        **(provenance or {}),
    }
    sets = []
    for row, (task, chosen) in enumerate(zip(table.tasks, table.chosen(rule), strict=True)):
        if len(chosen) < rule.m:
            raise TooFewFeaturesError(
                f"Only {len(chosen)} features are eligible for '{task}', and the rule asks for {rule.m}.",
                hint="Lower m or the minimum frequency, or train an SAE with more features.",
            )
        indices, scores = tuple(chosen.tolist()), tuple(table.scores[row, chosen].tolist())
        provenance = {"n_task_items": table.n_task_items[row], **described}
        sets.append(FeatureSet(name=task, task=task, indices=indices, scores=scores, provenance=provenance))
    return tuple(sets)
