"""Whether a union of two sets does more or less than its parts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import Floats, cluster_bootstrap
from vsc_eval.stats.estimate import Estimate


@dataclass(frozen=True)
class Interaction:
    """Positive: the union exceeds what its parts lead one to expect."""

    drift: Estimate
    """D(A+B) - D(A) - D(B)."""
    drift_bliss: Estimate
    """D(A+B) - (D(A) + D(B) - D(A) D(B)): expectation of two independent causes of change."""
    accuracy: Estimate
    """d(A+B) - d(A) - d(B), d the accuracy difference against the baseline."""


def interaction(
    changed: npt.ArrayLike,
    gain: npt.ArrayLike,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    *,
    cluster_name: str = "orbit",
) -> Interaction:
    """`changed` and `gain` [3, items], rows A, B, A+B: 1 where the answer changed; right(condition) - right(base)."""

    def estimate(values: npt.ArrayLike, statistic: Callable[[Floats], Floats]) -> Estimate:
        return cluster_bootstrap(values, clusters, rng, statistic=statistic, cluster_name=cluster_name)

    return Interaction(
        drift=estimate(changed, _additive),
        drift_bliss=estimate(changed, _bliss),
        accuracy=estimate(gain, _additive),
    )


def _additive(means: Floats) -> Floats:
    return means[..., 2] - means[..., 0] - means[..., 1]


def _bliss(means: Floats) -> Floats:
    return means[..., 2] - (means[..., 0] + means[..., 1] - means[..., 0] * means[..., 1])
