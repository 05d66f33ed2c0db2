"""Drift: how many parsed answers changed against the baseline, and in which direction.

The five parts exclude each other and add up to the drift. A change to or from `invalid` counts as that and as nothing
else, so right -> invalid is not also a right -> wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vsc_eval.extract import INVALID
from vsc_eval.stats.bootstrap import cluster_bootstrap
from vsc_eval.stats.estimate import Estimate

PARTS = ("right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid")


@dataclass(frozen=True)
class Drift:
    """Share of changed answers with its interval, and the counts of its parts."""

    share: Estimate
    n_changed: int
    right_to_wrong: int
    wrong_to_right: int
    wrong_to_other: int
    """From one wrong option to another: invisible in accuracy and in right/wrong flips."""
    to_invalid: int
    from_invalid: int


def drift_parts(
    baseline: npt.ArrayLike, condition: npt.ArrayLike, gold: npt.ArrayLike
) -> dict[str, npt.NDArray[np.bool_]]:
    """For each part a mask [items]. Arguments [items]: parsed answers and right answers as strings."""
    base, cond, right = (np.asarray(a, dtype=np.str_) for a in (baseline, condition, gold))
    if not base.shape == cond.shape == right.shape:
        raise ValueError(f"answers of different lengths: {base.shape}, {cond.shape}, gold {right.shape}")
    if np.any(right == INVALID):
        raise ValueError("a gold answer cannot be invalid")
    return change_parts(base, cond, right, INVALID)


def change_parts(
    baseline: npt.NDArray[Any], condition: npt.NDArray[Any], gold: npt.NDArray[Any], invalid: str | int
) -> dict[str, npt.NDArray[np.bool_]]:
    """The same of answers in any code, `invalid` being that of no answer; the arrays are broadcast against each
    other."""
    changed = baseline != condition
    base_invalid, cond_invalid = baseline == invalid, condition == invalid
    valid_change = changed & ~base_invalid & ~cond_invalid
    was_right, is_right = baseline == gold, condition == gold
    return {
        "right_to_wrong": valid_change & was_right,
        "wrong_to_right": valid_change & is_right,
        "wrong_to_other": valid_change & ~was_right & ~is_right,
        "to_invalid": changed & cond_invalid,
        "from_invalid": changed & base_invalid,
    }


def drift(
    baseline: npt.ArrayLike,
    condition: npt.ArrayLike,
    gold: npt.ArrayLike,
    clusters: Sequence[str] | npt.NDArray[np.str_],
    rng: np.random.Generator,
    *,
    cluster_name: str = "orbit",
) -> Drift:
    """Drift with a cluster bootstrap interval. Arguments [items], answers as strings."""
    counts = {name: int(mask.sum()) for name, mask in drift_parts(baseline, condition, gold).items()}
    changed = np.asarray(baseline, dtype=np.str_) != np.asarray(condition, dtype=np.str_)
    share = cluster_bootstrap(changed, clusters, rng, cluster_name=cluster_name)
    return Drift(share=share, n_changed=int(changed.sum()), **counts)
