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
    z = float(stats.norm.ppf((1 + level) / 2))
    share = successes / n_items
    scale = 1 + z**2 / n_items
    centre = (share + z**2 / (2 * n_items)) / scale
    half = z / scale * float((share * (1 - share) / n_items + z**2 / (4 * n_items**2)) ** 0.5)
    # At 0 and n the formula is exact in theory and off by rounding in floats.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n_items else centre + half
    return Figure(share, low, high, n_items, n_items, method)
