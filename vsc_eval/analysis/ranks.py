"""Ranks of models that leave no order among those that the data cannot tell apart.

A model's rank is one more than the number of models that were told to be better. Two models are told apart where the
95% percentile bootstrap interval of their difference, whole clusters resampled and both models on the same resampled
items, excludes 0. No correction is made for the number of pairs. Ranks can be shared and skipped, and "cannot be told
apart" is not transitive: of three models in a row the first and the last may be told apart although the middle one can
be told from neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import DRAWS, LEVEL, Floats, bootstrap_means, cluster_sums, stream, zero_count_limit

METHOD = (
    f"{LEVEL:.0%} percentile bootstrap interval of the paired difference ({DRAWS} draws of whole clusters, all models "
    "on the same draws)"
)
_SAME = 1e-12


@dataclass(frozen=True)
class Answered:
    """What a model got right."""

    asked: tuple[str, tuple[str, ...]]
    """The scoring, and the ids of the items; only models that were asked the same are compared."""
    clusters: tuple[str, ...]
    right: npt.NDArray[np.bool_]
    """[items]"""


@dataclass(frozen=True)
class Rank:
    rank: int
    """1 + number of models told better."""
    n_worse: int
    """Models told worse."""
    n_compared: int
    """Models that were asked the same, this one among them."""
    is_shared: bool
    """Whether another model has the same rank."""


def rank_models(models: Sequence[Answered], *, seed: int = 0) -> tuple[Rank, ...]:
    """The rank of each model among those that were asked the same items with the same scoring."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for row, model in enumerate(models):
        groups.setdefault(model.asked, []).append(row)
    found: dict[int, Rank] = {}
    for rows in groups.values():
        right = np.array([models[row].right for row in rows], dtype=np.float64)
        better = told_better(right, models[rows[0]].clusters, seed=seed)
        ranks, n_worse = (1 + better.sum(axis=0)).tolist(), better.sum(axis=1).tolist()
        for row, rank, worse in zip(rows, ranks, n_worse, strict=True):
            found[row] = Rank(rank, worse, n_compared=len(rows), is_shared=ranks.count(rank) > 1)
    return tuple(found[row] for row in range(len(models)))


def told_better(right: Floats, clusters: Sequence[str], *, seed: int = 0) -> npt.NDArray[np.bool_]:
    """[models, models]: whether the row's model was told to be better than the column's. `right` is [models, items].

    Where every cluster gives the same difference the bootstrap says nothing. Then a Clopper-Pearson limit bounds the
    share of clusters that would differ, and in each of them the difference may be the least possible, -1.
    """
    n_models = len(right)
    better = np.zeros((n_models, n_models), dtype=bool)
    sums, sizes = cluster_sums(right, clusters)
    if n_models < 2 or len(sizes) < 2:
        return better
    means = sums.sum(axis=1) / sizes.sum()
    order = np.argsort(-means, kind="stable")
    # One row a model, so that the differences of a pair are contiguous.
    drawn = np.ascontiguousarray(bootstrap_means(sums, sizes, stream(seed, "leaderboard", "places"), DRAWS).T)
    limit = zero_count_limit(len(sizes), level=LEVEL)
    assert limit is not None
    for position, i in enumerate(order[:-1]):
        others = order[position + 1 :]
        gaps = drawn[i] - drawn[others]
        low = np.quantile(gaps, (1 - LEVEL) / 2, axis=1)
        constant = np.ptp(gaps, axis=1) <= _SAME
        gap = means[i] - means[others]
        better[i, others] = np.where(constant, gap - (1 + gap) * limit > 0, low > _SAME)
    return better
