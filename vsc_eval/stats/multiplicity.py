"""p adjusted for the number of tests: Holm (family-wise error) and Benjamini-Hochberg (false discovery rate).

A test whose p is None was not made: it stays None and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

Correction = Literal["holm", "bh"]


def adjust(p_values: Sequence[float | None], correction: Correction) -> tuple[float | None, ...]:
    """`holm` or `benjamini_hochberg`."""
    return holm(p_values) if correction == "holm" else benjamini_hochberg(p_values)


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Step-down Bonferroni (Holm 1979): the i-th smallest of n times n - i + 1, made monotone, at most 1."""
    given = _given(p_values)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1)
    return _among(p_values, adjusted)


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Step-up (Benjamini and Hochberg 1995): the i-th smallest of n times n / i, made monotone, at most 1."""
    return _among(p_values, false_discovery_control(_given(p_values), method="bh"))


def _given(p_values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """The p that are there."""
    given = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if np.any((given < 0) | (given > 1) | np.isnan(given)):
        raise ValueError(f"expected p between 0 and 1 but got {given.tolist()}")
    return given


def _among(p_values: Sequence[float | None], adjusted: npt.NDArray[np.float64]) -> tuple[float | None, ...]:
    """`adjusted` in the places of the p that are there."""
    values = iter(adjusted.tolist())
    return tuple(None if p is None else next(values) for p in p_values)
