"""What every statistic returns: a value and an interval, or None with the reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A statistic of `n_items` items in `n_clusters` clusters.

    `value` or the interval is None where it is undefined; `reason` then says why. An undefined figure is never 0.
    """

    value: float | None
    low: float | None
    high: float | None
    n_items: int
    n_clusters: int
    method: str
    """Which interval at which level, and what a cluster is."""
    reason: str | None = None
