"""p adjusted for the number of tests: Holm (family-wise error) and Benjamini-Hochberg (false discovery rate).

A test whose p is None was not made: it stays None and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Correction = Literal["holm", "bh"]


def adjust(p_values: Sequence[float | None], correction: Correction) -> tuple[float | None, ...]:
    """`holm` or `benjamini_hochberg`."""
    return holm(p_values) if correction == "holm" else benjamini_hochberg(p_values)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Step-down Bonferroni (Holm 1979): the i-th smallest of n times n - i + 1, made monotone, at most 1."""
    ordered, order = _sorted(p_values)
    n = len(ordered)
    return _restored(p_values, order, np.maximum.accumulate(ordered * np.arange(n, 0, -1)))


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Step-up (Benjamini and Hochberg 1995): the i-th smallest of n times n / i, made monotone, at most 1."""
    ordered, order = _sorted(p_values)
    n = len(ordered)
    scaled = ordered * n / np.arange(1, n + 1)
    return _restored(p_values, order, np.minimum.accumulate(scaled[::-1])[::-1])


def _sorted(p_values: Sequence[float | None]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """The p that are there, smallest first, and their places among those that are there."""
    given = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if np.any((given < 0) | (given > 1) | np.isnan(given)):
        raise ValueError(f"expected p between 0 and 1 but got {[p for p in p_values if p is not None]}")
    order = np.argsort(given, kind="stable")
    return given[order], order


def _restored(
    p_values: Sequence[float | None], order: npt.NDArray[np.intp], adjusted: npt.NDArray[np.float64]
) -> tuple[float | None, ...]:
    back = np.empty(len(adjusted))
    back[order] = np.minimum(adjusted, 1)
    values = iter(back.tolist())
    return tuple(None if p is None else next(values) for p in p_values)
