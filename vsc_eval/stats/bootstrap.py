"""What every statistic returns: a value and an interval, or None with the reason; and the percentile cluster bootstrap.

Items of one orbit share a prompt and differ in one detail, so their answers are dependent: whole clusters are drawn,
never items. A mean is a ratio of sums, so a draw is a vector of cluster weights and all draws are one matrix product.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Clusters = Sequence[str] | npt.NDArray[np.str_] | npt.NDArray[np.intp]
"""The cluster of each item, by name or number."""

DRAWS = 2000
LEVEL = 0.95
_WEIGHTS_AT_ONCE = 4_000_000  # bounds the weight matrix at 32 MB for data sets with many clusters
_LEVEL_AND_POWER = float(stats.norm.ppf(1 - 0.05 / 2) + stats.norm.ppf(0.8))


@dataclass(frozen=True)
class Figure:
    """A statistic of `n_items` items in `n_clusters` clusters; result files hold it as it is.

    `value` or the interval is None where it is undefined; `reason` then says why. An undefined figure is never 0.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    value: float | None
    low: float | None
    high: float | None
    n_items: int
    n_clusters: int
    method: str
    """Which interval at which level, and what a cluster is."""
    reason: str | None = None

    @property
    def holds_zero(self) -> bool:
        """Whether there is an interval and 0 is in it."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high


def wilson_interval(successes: int, n_items: int, *, level: float = 0.95) -> Figure:
    """Share `successes / n_items` with Wilson's interval; only for items that are independent (one item a cluster)."""
    method = f"{level:.0%} Wilson interval, items independent"
    if n_items == 0:
        return Figure(None, None, None, 0, 0, method, "no items")
    if not 0 <= successes <= n_items:
        raise ValueError(f"{successes} successes of {n_items} items")
    interval = stats.binomtest(successes, n_items).proportion_ci(level, method="wilson")
    return Figure(successes / n_items, float(interval.low), float(interval.high), n_items, n_items, method)


def zero_count_limit(n_clusters: int, *, level: float = 0.95) -> float | None:
    """Upper end of the two-sided Clopper-Pearson interval for 0 of `n_clusters`: 1 - ((1 - level) / 2)^(1 / n). None
    without clusters. It bounds the share of clusters that would differ where all are alike, so without an interval."""
    return float(1 - ((1 - level) / 2) ** (1 / n_clusters)) if n_clusters else None


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each (seed, names), so that no figure depends on the order in which figures are
    computed; names are kept apart, so ("ab",) and ("a", "b") differ."""
    text = "\x1f".join([str(seed), *names])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


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
    """Means under `draws` resamples of the clusters: sums [k, clusters] -> [draws, k]. All k share each draw's weights,
    so that functions of several means keep their dependence."""
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
    ends: list[tuple[float | None, float | None, str | None]] = [(None, None, f"only one {cluster_name}")] * len(wanted)
    if n_clusters > 1:
        drawn = bootstrap_means(sums, sizes, rng, draws)
        drawn = np.ascontiguousarray((statistic(drawn) if statistic else drawn).T)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
        constant = np.ptp(drawn, axis=1) <= 1e-12
        undefined = (None, None, f"every {cluster_name} gives the same value")
        drawn_ends = zip(low.tolist(), high.tolist(), constant, strict=True)
        ends = [undefined if same else (lo, hi, None) for lo, hi, same in drawn_ends]
    about = (n_items, n_clusters, method)
    found = [Figure(value, lo, hi, *about, reason) for value, (lo, hi, reason) in zip(wanted, ends, strict=True)]
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
    """The smallest mean of each row of `values` [k, items] that a run could have found at level 0.05 with power 0.8,
    printed beside a null result: (z_{1 - level/2} + z_{power}) x standard error of the mean; None where that is 0, and
    for fewer than two clusters."""
    errors = cluster_standard_errors(values, clusters)
    if errors is None:
        return [None] * len(np.asarray(values))
    return [difference or None for difference in (_LEVEL_AND_POWER * errors).tolist()]
