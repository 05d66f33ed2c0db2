"""Cluster bootstrap intervals of metric figures, and of their differences between two conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vsc_eval.metrics.base import Floats, Quantity
from vsc_eval.stats import Figure
from vsc_eval.stats.bootstrap import DRAWS, LEVEL, bootstrap_means, cluster_sums

_MOST_UNDEFINED = 0.05
"""Share of draws in which a ratio may have no denominator before its interval is given up."""


def estimate(
    quantity: Quantity,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    *,
    cluster_name: str,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Figure:
    """The figure with a percentile interval; `clusters` [items] in the order of the items it was aggregated from.

    A figure that is undefined (no answer is "yes", so no precision) is None with its reason. Draws in which it is
    undefined are left out; with more than 5% of them there is no interval.
    """
    return _estimate(quantity.values, quantity.statistic, quantity, clusters, rng, cluster_name, draws, level)


def estimate_difference(
    baseline: Quantity,
    condition: Quantity,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    *,
    cluster_name: str,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Figure:
    """condition - baseline of the same figure on the same items in the same order, resampled together."""
    if baseline.values.shape != condition.values.shape:
        raise ValueError(f"figures of different items: {baseline.values.shape} and {condition.values.shape}")
    k = len(baseline.values)

    def difference(means: Floats) -> Floats:
        return condition.statistic(means[..., k:]) - baseline.statistic(means[..., :k])

    values = np.concatenate([baseline.values, condition.values])
    blamed = baseline if baseline.value() is None else condition
    return _estimate(values, difference, blamed, clusters, rng, cluster_name, draws, level)


def _estimate(
    values: Floats,
    statistic: Callable[[Floats], Floats],
    quantity: Quantity,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    cluster_name: str,
    draws: int,
    level: float,
) -> Figure:
    method = f"{level:.0%} percentile bootstrap, {draws} draws, clustered by {cluster_name}"
    n = quantity.n
    if values.shape[-1] == 0:
        return Figure(None, None, None, 0, 0, method, "no items")
    sums, sizes = cluster_sums(values, clusters)
    value = float(statistic(sums.sum(axis=1) / sizes.sum()))
    if not np.isfinite(value):
        return Figure(None, None, None, n, len(sizes), method, quantity.undefined)
    if len(sizes) < 2:
        return Figure(value, None, None, n, len(sizes), method, f"only one {cluster_name}")
    drawn = statistic(bootstrap_means(sums, sizes, rng, draws))
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(drawn):
        reason = f"{quantity.undefined} in {1 - len(defined) / len(drawn):.0%} of the draws"
        return Figure(value, None, None, n, len(sizes), method, reason)
    if np.ptp(defined) <= 1e-12:
        return Figure(value, None, None, n, len(sizes), method, f"every {cluster_name} gives the same value")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Figure(value, float(low), float(high), n, len(sizes), method)
