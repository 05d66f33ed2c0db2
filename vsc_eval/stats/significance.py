"""Tests: McNemar's, sign flips of whole clusters, effects beside those of control draws, p over a number of tests.

A p of None belongs to a test that could not be made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, false_discovery_control

from vsc_eval.stats.bootstrap import Clusters, Floats, cluster_sums

Correction = Literal["holm", "bh"]
SIGN_FLIPS = 10_000
_MOST_ENUMERATED = 14  # 2^14 sign patterns: larger enumerations cost more than random draws and say no more
_SIGNS_AT_ONCE = 4_000_000
_EQUAL = 1e-9
"""Effects are means over items: figures closer than this differ by rounding only."""


@dataclass(frozen=True)
class McNemar:
    """The four cells and the exact two-sided p; `p_value` is None where no item differs."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    both_right: int
    only_baseline_right: int
    only_condition_right: int
    both_wrong: int
    p_value: float | None
    reason: str | None
    method: str = "exact McNemar, two-sided, items taken as independent (no clusters)"


@lru_cache(maxsize=4096)
def mcnemar(both_right: int, only_baseline_right: int, only_condition_right: int, both_wrong: int) -> McNemar:
    """The exact test of two sets of right and wrong answers to the same items, from its four cells."""
    cells = (both_right, only_baseline_right, only_condition_right, both_wrong)
    differ = only_baseline_right + only_condition_right
    if not differ:
        return McNemar(*cells, p_value=None, reason="no item is right under one of the two only")
    return McNemar(*cells, p_value=float(binomtest(only_condition_right, differ, 0.5).pvalue), reason=None)


def sign_flip(
    values: npt.ArrayLike, clusters: Clusters, rng: np.random.Generator, *, draws: int = SIGN_FLIPS
) -> tuple[float | None, ...]:
    """Two-sided p of mean = 0 for each row of `values` [k, items], all with the same flips of whole clusters; None
    without items. A row that is zero in every cluster has p = 1: any signs give its sum.

    If a contrast has no effect and its cluster sums are symmetric about zero, each cluster's sum could as well have had
    the other sign. The test compares |sum| with its distribution over random signs (Fisher's randomisation test for
    paired samples; with clusters, Winkler et al. 2014, NeuroImage 92, "whole-block" sign flipping). Without symmetry it
    is valid asymptotically, as the flipped sums have the variance of the sum under a mean of zero.

    Rows with so few non-zero clusters that their sign patterns can be enumerated (at most 14 clusters, and no more
    patterns than `draws`) get the exact p; for the others p = (1 + draws at least as large) / (1 + draws).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"expected values [k, items] but got shape {array.shape}")
    if array.shape[1] == 0:
        return (None,) * len(array)
    sums, _ = cluster_sums(array, clusters)
    n_active = np.count_nonzero(sums, axis=1)
    exact = (n_active <= _MOST_ENUMERATED) & (2.0**n_active <= draws)
    p_values = np.empty(len(array))
    for row in np.flatnonzero(exact):
        active = sums[row][sums[row] != 0]
        p_values[row] = np.mean(np.abs(_patterns(len(active)) @ active) >= _threshold(active))
    if not exact.all():
        p_values[~exact] = _drawn(sums[~exact], rng, draws)
    return tuple(map(float, p_values))


def _threshold(sums: Floats) -> Floats:
    """|sum| less its rounding error: flipped sums that equal it in exact arithmetic must count. [..., clusters]."""
    return np.asarray(np.abs(sums.sum(axis=-1)) - 1e-12 * np.abs(sums).sum(axis=-1))


@lru_cache(maxsize=_MOST_ENUMERATED + 1)
def _patterns(n_clusters: int) -> Floats:
    """All sign patterns [2^(n - 1), n] up to a flip of all signs, which leaves |sum| as it is."""
    bits = (np.arange(2 ** max(n_clusters - 1, 0))[:, None] >> np.arange(n_clusters)) & 1
    return np.asarray(1 - 2 * bits.astype(np.float64))


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


def extreme_p(p_a: float | None, p_b: float | None, gap_a: float, gap_b: float, *, beyond: int) -> float | None:
    """Two-sided p of union - max(A, B), with `beyond` = 1, or of union - min(A, B), with `beyond` = -1.

    `p_a` and `gap_a` are the two-sided p and the value of union - A, `p_b` and `gap_b` of union - B. That the union is
    beyond both parts means that it is beyond A and beyond B: the larger p (intersection-union, Berger 1982). That it
    falls short of the extreme part means that it falls short of one of them: the smallest such p, twice for two tries.
    """
    if beyond not in (1, -1):
        raise ValueError(f"expected `beyond` 1 or -1 but got {beyond}")
    if p_a is None or p_b is None:
        return None
    gaps = (beyond * gap_a, beyond * gap_b)
    if min(gaps) > 0:
        return max(p_a, p_b)
    short = [p for p, gap in zip((p_a, p_b), gaps, strict=True) if gap < 0]
    return min(1.0, 2 * min(short)) if short else 1.0


def adjust(p_values: Sequence[float | None], correction: Correction = "holm") -> tuple[float | None, ...]:
    """p adjusted for their number. A test whose p is None was not made: it stays None and does not count.

    holm, against any false finding: step-down Bonferroni (Holm 1979), the i-th smallest of n times n - i + 1, made
    monotone, at most 1. bh, against the share of false ones: step-up (Benjamini and Hochberg 1995), the i-th smallest
    times n / i, likewise.
    """
    given = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if np.any((given < 0) | (given > 1) | np.isnan(given)):
        raise ValueError(f"expected p between 0 and 1 but got {given.tolist()}")
    if correction == "bh":
        adjusted = false_discovery_control(given, method="bh")
    else:
        order, adjusted = np.argsort(given, kind="stable"), np.empty(len(given))
        adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1)
    values = iter(adjusted.tolist())
    return tuple(None if p is None else next(values) for p in p_values)


# An effect beside the same effect of control draws. Larger is more harmful throughout. Where the real effect is
# exchangeable with the draws' (it could as well have been one of them), each p is valid whatever the distribution:
# P(p <= a) <= a (Phipson and Smyth 2010 for the 1 + count).


def control_percentile(value: float, draws: npt.ArrayLike) -> float | None:
    """Share of `draws` [n] below `value`, ties half, in percent; None without draws."""
    drawn = np.asarray(draws, dtype=np.float64)
    if not len(drawn):
        return None
    below, equal = drawn < value - _EQUAL, np.abs(drawn - value) <= _EQUAL
    return float(100 * np.mean(below + 0.5 * equal))


def control_p(value: float, draws: npt.ArrayLike) -> float | None:
    """(1 + draws at least as large as `value`) / (1 + draws); None without draws."""
    drawn = np.asarray(draws, dtype=np.float64)
    return float((1 + np.sum(drawn >= value - _EQUAL)) / (1 + len(drawn))) if len(drawn) else None


def left_out_scores(effects: npt.ArrayLike) -> Floats:
    """Standardised effects [1 + draws, k], from `effects` of the same shape: one row the real one, the others draws.

    Each row is compared with the mean and the spread of all other rows, the real row in the same way as the draws: any
    difference in treatment would break their exchangeability. The variance of an effect is averaged with the mean
    variance of all k, since that of a few draws alone is often far too small by chance. Needs three rows.
    """
    table = np.asarray(effects, dtype=np.float64)
    n = len(table)
    if table.ndim != 2 or n < 3:
        raise ValueError(f"expected effects [rows, k] of three rows or more but got shape {table.shape}")
    centred = table - table.mean(axis=0)
    mean = -centred / (n - 1)
    variance = (np.sum(centred**2, axis=0) - centred**2 - (n - 1) * mean**2) / (n - 2)
    variance = np.maximum(variance, 0)
    spread = np.sqrt((variance + variance.mean(axis=1, keepdims=True)) / 2)
    gap = centred - mean
    gap[np.abs(gap) <= _EQUAL] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(spread > _EQUAL, gap / spread, np.copysign(np.inf, gap))
    scores[gap == 0] = 0
    return np.asarray(scores)


def family_p(scores: npt.ArrayLike) -> Floats:
    """p [k] of the first row of `scores` [1 + draws, k], family-wise over the k effects: (1 + draws whose largest score
    is at least that score) / (1 + draws) (single-step max-T, Westfall and Young 1993)."""
    table = np.asarray(scores, dtype=np.float64)
    largest = table[1:].max(axis=1)
    return np.asarray((1 + np.sum(largest[:, None] >= table[0] - _EQUAL, axis=0)) / len(table))
