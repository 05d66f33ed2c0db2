"""Selection scores: how selective a feature is for a task. `SCORES` holds them by name.

Another package adds one by an entry point of the group `vsc_eval.scores` (see vsc_eval.registry).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsc_eval.registry import Registry, instance_of

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


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
    instance_of(SelectionScore),
)
