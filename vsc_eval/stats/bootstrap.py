"""Percentile cluster bootstrap of means.

Items of one orbit share a prompt and differ in one detail, so their answers are dependent: whole clusters are drawn,
never items. A mean is a ratio of sums, so a draw is a vector of cluster weights and all draws are one matrix product.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.figure import Figure, detectable_difference, wilson_interval

Floats = npt.NDArray[np.float64]
Clusters = Sequence[str] | npt.NDArray[np.str_] | npt.NDArray[np.intp]
"""The cluster of each item, by name or number."""

DRAWS = 2000
LEVEL = 0.95
_WEIGHTS_AT_ONCE = 4_000_000  # bounds the weight matrix at 32 MB for data sets with many clusters


def cluster_sums(values: npt.ArrayLike, clusters: Clusters) -> tuple[Floats, Floats]:
    """Sums per cluster. `values` [..., items] and `clusters` [items] give sums [..., clusters] and sizes [clusters]."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape[-1] != len(clusters):
        raise ValueError(f"{array.shape[-1]} values but {len(clusters)} cluster names")
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    n_clusters = int(index.max()) + 1 if len(index) else 0
    rows = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array[None]
    sums = np.array([np.bincount(index, weights=row, minlength=n_clusters) for row in rows], dtype=np.float64)
    return sums.reshape(*array.shape[:-1], n_clusters), np.bincount(index, minlength=n_clusters).astype(np.float64)


def bootstrap_means(sums: Floats, sizes: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """Means under `draws` resamples of the clusters: sums [k, clusters] -> [draws, k].

    All k share each draw's weights, so that functions of several means keep their dependence.
    """
    n_clusters = len(sizes)
    per_part = max(1, _WEIGHTS_AT_ONCE // n_clusters)
    parts = []
    for start in range(0, draws, per_part):
        size = min(per_part, draws - start)
        # Counting draws of indices is four times as fast as the generator's own multinomial.
        drawn = rng.integers(0, n_clusters, size=(size, n_clusters)) + n_clusters * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n_clusters).reshape(size, n_clusters).astype(np.float64)
        parts.append((weights @ sums.T) / (weights @ sizes)[:, None])
    return np.concatenate(parts)


def bootstrap_many(
    values: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    statistic: Callable[[Floats], Floats] | None = None,
    n_shares: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    cluster_name: str = "orbit",
) -> tuple[Figure, ...]:
    """Means of each row of `values` [k, items] with percentile intervals, all rows resampled with the same weights.

    `statistic` takes means [..., k] and returns the [..., m] figures wanted instead. The first `n_shares` are means of
    zeros and ones, which have Wilson's interval where every item is its own cluster. An interval is undefined for fewer
    than two clusters, and where every draw gives one and the same figure (then the resampling says nothing about the
    uncertainty).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"expected values [k, items] but got shape {array.shape}")
    n_items, method = array.shape[1], f"{level:.0%} percentile bootstrap, {draws} draws, clustered by {cluster_name}"
    if n_items == 0:
        n_figures = len(statistic(np.zeros(len(array))) if statistic else array)
        return (Figure(None, None, None, 0, 0, method, "no items"),) * n_figures
    sums, sizes = cluster_sums(array, clusters)
    n_clusters, means = len(sizes), sums.sum(axis=1) / sizes.sum()
    wanted = (statistic(means) if statistic else means).tolist()
    if n_clusters < 2:
        reason = f"only one {cluster_name}"
        found = [Figure(value, None, None, n_items, n_clusters, method, reason) for value in wanted]
    else:
        drawn = bootstrap_means(sums, sizes, rng, draws)
        drawn = np.ascontiguousarray((statistic(drawn) if statistic else drawn).T)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
        constant = np.ptp(drawn, axis=1) <= 1e-12
        reason = f"every {cluster_name} gives the same value"
        found = [
            Figure(value, None, None, n_items, n_clusters, method, reason)
            if same
            else Figure(value, float(lo), float(hi), n_items, n_clusters, method)
            for value, lo, hi, same in zip(wanted, low, high, constant, strict=True)
        ]
    if n_clusters == n_items:
        found[:n_shares] = [wilson_interval(int(row.sum()), n_items, level=level) for row in array[:n_shares]]
    return tuple(found)


def cluster_bootstrap(
    values: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    cluster_name: str = "orbit",
) -> Figure:
    """The mean of `values` [items] with its interval."""
    return bootstrap_many(np.asarray(values)[None], clusters, rng, draws=draws, cluster_name=cluster_name)[0]


def cluster_standard_errors(values: npt.ArrayLike, clusters: Clusters) -> Floats | None:
    """Cluster-robust standard errors [k] of the means of `values` [k, items], linearised; None for fewer than two
    clusters."""
    sums, sizes = cluster_sums(np.asarray(values, dtype=np.float64), clusters)
    n_clusters = len(sizes)
    if n_clusters < 2:
        return None
    residuals = sums - sizes * (sums.sum(axis=-1, keepdims=True) / sizes.sum())
    return np.asarray(np.sqrt(n_clusters / (n_clusters - 1) * np.sum(residuals**2, axis=-1)) / sizes.sum())


def detectable_differences(values: npt.ArrayLike, clusters: Clusters) -> list[float | None]:
    """`detectable_difference` of the mean of each row of `values` [k, items]; None for fewer than two clusters."""
    errors = cluster_standard_errors(values, clusters)
    return [None] * len(np.asarray(values)) if errors is None else list(map(detectable_difference, errors.tolist()))
