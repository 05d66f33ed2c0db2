"""Whether a union of two sets does more or less than its parts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import DRAWS, LEVEL, Clusters, Floats, bootstrap_many
from vsc_eval.stats.estimate import Estimate

Formula = Callable[[Floats, Floats, Floats], Floats]
"""Interaction of a union, from A, B and A+B."""


def additive(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - x(A) - x(B)."""
    return union - a - b


def bliss(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - (x(A) + x(B) - x(A) x(B)): against two independent causes of change; of shares, not of single items."""
    return union - (a + b - a * b)


def over_mean(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - (x(A) + x(B)) / 2: for a union whose edit has the mean of its parts' norms."""
    return union - (a + b) / 2


def over_larger(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - max(x(A), x(B)): for a union whose edit has the larger of its parts' norms; of means, not of items."""
    above: Floats = union - np.maximum(a, b)
    return above


def under_smaller(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - min(x(A), x(B)): the same of a gain, where less is worse."""
    above: Floats = union - np.minimum(a, b)
    return above


@dataclass(frozen=True)
class Interaction:
    """Positive: the union exceeds what its parts lead one to expect."""

    drift: Estimate
    """D(A+B) - D(A) - D(B)."""
    drift_bliss: Estimate
    """D(A+B) - (D(A) + D(B) - D(A) D(B)): expectation of two independent causes of change."""
    accuracy: Estimate
    """d(A+B) - d(A) - d(B), d the accuracy difference against the baseline."""


def interactions(
    changed: npt.ArrayLike,
    gain: npt.ArrayLike,
    triples: Sequence[tuple[int, int, int]],
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    cluster_name: str = "orbit",
) -> tuple[Interaction, ...]:
    """One interaction for each of `triples`, the rows of A, B and A+B, all resampled with the same weights.

    `changed` and `gain` [conditions, items]: 1 where the answer changed; right(condition) - right(base).
    """
    change = np.asarray(changed, dtype=np.float64)
    rows, n = np.concatenate([change, np.asarray(gain, dtype=np.float64)]), len(change)
    a, b, union = np.array(triples, dtype=np.intp).reshape(-1, 3).T

    def figures(means: Floats) -> Floats:
        drift = [formula(means[..., a], means[..., b], means[..., union]) for formula in (additive, bliss)]
        gains = additive(means[..., n + a], means[..., n + b], means[..., n + union])
        return np.concatenate([*drift, gains], axis=-1)

    found = bootstrap_many(rows, clusters, rng, statistic=figures, draws=draws, level=level, cluster_name=cluster_name)
    k = len(a)
    return tuple(Interaction(found[i], found[k + i], found[2 * k + i]) for i in range(k))


def interaction(
    changed: npt.ArrayLike,
    gain: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    cluster_name: str = "orbit",
) -> Interaction:
    """Of one union: `changed` and `gain` [3, items], rows A, B, A+B."""
    return interactions(changed, gain, [(0, 1, 2)], clusters, rng, cluster_name=cluster_name)[0]
