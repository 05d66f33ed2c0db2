"""What nothing seen says about how much there may be."""

from __future__ import annotations


def zero_count_limit(n_clusters: int, *, level: float = 0.95) -> float | None:
    """Upper end of the two-sided Clopper-Pearson interval for 0 of `n_clusters`: 1 - ((1 - level) / 2)^(1 / n).

    A bootstrap of clusters that are all alike has no interval; this bounds the share of clusters that would differ.
    None without clusters.
    """
    return float(1 - ((1 - level) / 2) ** (1 / n_clusters)) if n_clusters else None
