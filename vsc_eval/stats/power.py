"""The smallest difference a run could have found: printed beside a null result, which says little without it."""

from __future__ import annotations

from functools import lru_cache

from scipy import stats


def detectable_difference(standard_error: float | None, *, level: float = 0.05, power: float = 0.8) -> float | None:
    """(z_{1 - level/2} + z_{power}) x standard error of the difference; None where that is None or 0."""
    if not standard_error:
        return None
    return _factor(level, power) * standard_error


@lru_cache
def _factor(level: float, power: float) -> float:
    return float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power))
