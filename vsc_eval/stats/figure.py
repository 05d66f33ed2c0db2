"""What every statistic returns: a value and an interval, or None with the reason."""

from __future__ import annotations

from dataclasses import dataclass


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
