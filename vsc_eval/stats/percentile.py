"""An effect beside the same effect of control draws: percentile, p, and p over a family of effects.

Larger is more harmful throughout. Where the real effect is exchangeable with the draws' (it could as well have been one
of them), each p is valid whatever the distribution: P(p <= a) <= a (Phipson and Smyth 2010 for the 1 + count).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import Floats

_EQUAL = 1e-9
"""Effects are means over items: figures closer than this differ by rounding only."""


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
