"""Wilson's score interval of a share of independent items."""

from __future__ import annotations

from scipy import stats

from vsc_eval.stats.figure import Figure


def wilson_interval(successes: int, n_items: int, *, level: float = 0.95) -> Figure:
    """Share `successes / n_items` with Wilson's interval; only for items that are independent (one item a cluster)."""
    method = f"{level:.0%} Wilson interval, items independent"
    if n_items == 0:
        return Figure(None, None, None, 0, 0, method, "no items")
    if not 0 <= successes <= n_items:
        raise ValueError(f"{successes} successes of {n_items} items")
    interval = stats.binomtest(successes, n_items).proportion_ci(level, method="wilson")
    return Figure(successes / n_items, float(interval.low), float(interval.high), n_items, n_items, method)
