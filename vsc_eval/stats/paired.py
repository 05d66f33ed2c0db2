"""Accuracy, and its paired difference against the baseline on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import cluster_bootstrap, cluster_standard_error
from vsc_eval.stats.estimate import Estimate
from vsc_eval.stats.mcnemar import McNemar, mcnemar
from vsc_eval.stats.power import detectable_difference
from vsc_eval.stats.wilson import wilson_interval


@dataclass(frozen=True)
class Paired:
    """acc(condition) - acc(baseline) and what goes with it."""

    difference: Estimate
    test: McNemar
    detectable: float | None
    """Smallest true difference that such a run finds with power 0.8 at level 0.05; None where it cannot be told."""


def accuracy(
    right: npt.ArrayLike,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    *,
    cluster_name: str = "orbit",
) -> Estimate:
    """Share of right answers [items]: Wilson's interval where every item is its own cluster, else cluster bootstrap."""
    mask = np.asarray(right, dtype=bool)
    if len(mask) and len(np.unique(np.asarray(clusters, dtype=np.str_))) == len(mask):
        return wilson_interval(int(mask.sum()), len(mask))
    return cluster_bootstrap(mask, clusters, rng, cluster_name=cluster_name)


def paired_difference(
    baseline_right: npt.ArrayLike,
    condition_right: npt.ArrayLike,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    *,
    cluster_name: str = "orbit",
) -> Paired:
    """Both masks [items] in the same order of items."""
    base, cond = np.asarray(baseline_right, dtype=bool), np.asarray(condition_right, dtype=bool)
    test = mcnemar(base, cond)
    gain = cond.astype(np.float64) - base.astype(np.float64)
    return Paired(
        difference=cluster_bootstrap(gain, clusters, rng, cluster_name=cluster_name),
        test=test,
        detectable=detectable_difference(cluster_standard_error(gain, clusters)),
    )
