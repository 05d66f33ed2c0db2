"""Sign-flip permutation test of means, whole clusters flipped.

If a contrast has no effect and its cluster sums are symmetric about zero, each cluster's sum could as well have had the
other sign. The test compares |sum| with its distribution over random signs (Fisher's randomisation test for paired
samples; with clusters, Winkler et al. 2014, NeuroImage 92, "whole-block" sign flipping). Without symmetry it is valid
asymptotically, as the flipped sums have the variance of the sum under a mean of zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import Clusters, Floats, cluster_sums

DRAWS = 10_000
_MOST_ENUMERATED = 14  # 2^14 sign patterns: larger enumerations cost more than random draws and say no more
_SIGNS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class SignFlip:
    """Two-sided p of each contrast. A contrast that is zero in every cluster has p = 1: any signs give its sum."""

    p_values: tuple[float | None, ...]
    n_clusters: int
    method: str
    reason: str | None = None
    """Why the p are None: there are no items."""


def sign_flip(
    values: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    cluster_name: str = "orbit",
) -> SignFlip:
    """Tests mean = 0 for each row of `values` [k, items], all with the same flips.

    Rows with so few non-zero clusters that their sign patterns can be enumerated (at most 14 clusters, and no more
    patterns than `draws`) get the exact p; for the others p = (1 + draws at least as large) / (1 + draws).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"expected values [k, items] but got shape {array.shape}")
    method = f"sign-flip test, two-sided, whole clusters by {cluster_name}, exact or {draws} draws"
    if array.shape[1] == 0:
        return SignFlip((None,) * len(array), 0, method, "no items")
    sums, sizes = cluster_sums(array, clusters)
    n_active = np.count_nonzero(sums, axis=1)
    exact = (n_active <= _MOST_ENUMERATED) & (2.0**n_active <= draws)
    p_values = np.empty(len(array))
    for row in np.flatnonzero(exact):
        p_values[row] = _enumerated(sums[row][sums[row] != 0])
    if not exact.all():
        p_values[~exact] = _drawn(sums[~exact], rng, draws)
    return SignFlip(tuple(map(float, p_values)), len(sizes), method)


def _threshold(sums: Floats) -> Floats:
    """|sum| less its rounding error: flipped sums that equal it in exact arithmetic must count. [..., clusters]."""
    return np.asarray(np.abs(sums.sum(axis=-1)) - 1e-12 * np.abs(sums).sum(axis=-1))


def _enumerated(sums: Floats) -> float:
    return float(np.mean(np.abs(_patterns(len(sums)) @ sums) >= _threshold(sums)))


@lru_cache(maxsize=_MOST_ENUMERATED + 1)
def _patterns(n_clusters: int) -> Floats:
    """All sign patterns [2^(n - 1), n] up to a flip of all signs, which leaves |sum| as it is."""
    if n_clusters == 0:
        return np.ones((1, 0))
    bits = (np.arange(2 ** (n_clusters - 1))[:, None] >> np.arange(n_clusters)) & 1
    patterns: Floats = 1 - 2 * bits.astype(np.float64)
    return patterns


def _drawn(sums: Floats, rng: np.random.Generator, draws: int) -> Floats:
    k, n_clusters = sums.shape
    per_part, threshold, total = max(1, _SIGNS_AT_ONCE // n_clusters), _threshold(sums), sums.sum(axis=1)
    count = np.zeros(k)
    for start in range(0, draws, per_part):
        size = min(per_part, draws - start)
        # Bits of random bytes: eight signs for the price of one.
        drawn = np.frombuffer(rng.bytes(size * -(-n_clusters // 8)), dtype=np.uint8).reshape(size, -1)
        positive = np.unpackbits(drawn, axis=1, count=n_clusters).astype(np.float64)
        count += np.sum(np.abs(2 * (positive @ sums.T) - total) >= threshold, axis=0)
    return (1 + count) / (1 + draws)
