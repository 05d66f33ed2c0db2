"""auroc: probability that an item of the task has the larger value, ties half (Mann-Whitney)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from vsc_eval.interventions.scores import Floats, Mask, SelectionScore

_COLUMNS_AT_ONCE = 2048


def _from_rank_sums(rank_sums: Floats, n_task: Floats, n_others: Floats) -> Floats:
    """Rank sums [T, F] of the task's items among all, group sizes [T, 1] -> AUROC [T, F]."""
    result: Floats = (rank_sums - n_task * (n_task + 1) / 2) / (n_task * n_others)
    return result


def _scores(values: Floats, _fired: Mask, in_task: Mask) -> Floats:
    """The ranks are the same for every task: one sort serves all."""
    groups = in_task.astype(np.float64)
    sums = np.empty((len(groups), values.shape[1]))
    for start in range(0, values.shape[1], _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        sums[:, columns] = groups @ rankdata(values[:, columns], axis=0)
    n_task = groups.sum(1, keepdims=True)
    return _from_rank_sums(sums, n_task, groups.shape[1] - n_task)


@dataclass(frozen=True, eq=False)
class _Ties:
    """One sort of the columns of values [n, F], good for any weights of the rows."""

    order: NDArray[np.int64]
    """[n, F], rows by rising value."""
    first: NDArray[np.int64]
    """[n, F], place in the order at which the ties of that place begin."""
    last: NDArray[np.int64]
    """[n, F], and at which they end."""

    @classmethod
    def of(cls, values: Floats) -> _Ties:
        n = len(values)
        order = np.argsort(values, axis=0, kind="stable")
        rising = np.take_along_axis(values, order, axis=0)
        new = np.ones(values.shape, dtype=bool)
        new[1:] = rising[1:] != rising[:-1]
        places = np.arange(n)[:, None]
        first = np.maximum.accumulate(np.where(new, places, 0), axis=0)
        ends = np.ones(values.shape, dtype=bool)
        ends[:-1] = new[1:]
        last = np.minimum.accumulate(np.where(ends, places, n - 1)[::-1], axis=0)[::-1]
        return cls(order, first, last)

    def midranks(self, weights: NDArray[np.int64]) -> Floats:
        """Ranks [n, F] from 1, ties in the middle, of rows that stand `weights` [n] times."""
        upto = np.zeros((len(weights) + 1, self.order.shape[1]))
        np.cumsum(weights[self.order], axis=0, out=upto[1:])
        below = np.take_along_axis(upto, self.first, axis=0)
        within = np.take_along_axis(upto, self.last + 1, axis=0)
        ranks = np.empty(self.order.shape)
        np.put_along_axis(ranks, self.order, (below + within + 1) / 2, axis=0)
        return ranks


def _resampled(values: Floats, groups: Floats) -> Floats:
    """values [n, F], groups [R, T, n]: how often an item stands in a task -> AUROC [R, T, F]. One sort serves all."""
    ties = _Ties.of(values)
    sizes = groups.sum(2, keepdims=True)
    result = np.empty((*groups.shape[:2], values.shape[1]))
    for sample, group in enumerate(groups):
        sums = group @ ties.midranks(group.sum(0).astype(np.int64))
        result[sample] = _from_rank_sums(sums, sizes[sample], sizes[sample].sum() - sizes[sample])
    return result


AUROC = SelectionScore("auroc", _scores, of_nothing=0.5, resampled=_resampled)
