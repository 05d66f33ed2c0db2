"""auroc: probability that an item of the task has the larger value, ties half (Mann-Whitney)."""

import numpy as np

from vsc_eval.interventions.scores import Floats, Mask, SelectionScore


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
