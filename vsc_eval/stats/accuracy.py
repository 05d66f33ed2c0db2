"""Accuracy: the share of right answers, with the interval that its items call for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import LEVEL, Clusters, cluster_bootstrap
from vsc_eval.stats.figure import Figure
from vsc_eval.stats.wilson import wilson_interval


def accuracy(
    right: npt.ArrayLike,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    level: float = LEVEL,
    cluster_name: str = "orbit",
) -> Figure:
    """Share of right answers [items]: Wilson's interval where every item is its own cluster, else cluster bootstrap."""
    mask = np.asarray(right, dtype=bool)
    if len(mask) and len(np.unique(np.asarray(clusters))) == len(mask):
        return wilson_interval(int(mask.sum()), len(mask), level=level)
    return cluster_bootstrap(mask, clusters, rng, level=level, cluster_name=cluster_name)
