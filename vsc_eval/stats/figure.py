"""What every statistic returns: a value and an interval, or None with the reason; and the figures that are formulas."""

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy import stats

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
    """Upper end of the two-sided Clopper-Pearson interval for 0 of `n_clusters`: 1 - ((1 - level) / 2)^(1 / n).

    A bootstrap of clusters that are all alike has no interval; this bounds the share of clusters that would differ.
    None without clusters.
    """
    return float(1 - ((1 - level) / 2) ** (1 / n_clusters)) if n_clusters else None


def detectable_difference(standard_error: float | None) -> float | None:
    """The smallest difference that a run could have found at level 0.05 with power 0.8, printed beside a null result:
    (z_{1 - level/2} + z_{power}) x standard error of the difference; None where that is None or 0."""
    return _LEVEL_AND_POWER * standard_error if standard_error else None


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each (seed, names), so that no figure depends on the order in which figures are
    computed; names are kept apart, so ("ab",) and ("a", "b") differ."""
    text = "\x1f".join([str(seed), *names])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))
