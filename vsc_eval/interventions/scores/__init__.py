"""Selection scores, one file each: how selective a feature is for a task. `SCORES` holds them by name.

Another package adds one by an entry point of the group `vsc_eval.scores` (see vsc_eval.registry).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsc_eval.registry import Registry

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SelectionScore:
    """How selective a feature is for a task: the larger, the more."""

    name: str
    scores: Callable[[Floats, Mask, Mask], Floats]
    """(values [n, F] pooled activations, fired [n, F], in_task [T, n]) -> scores [T, F], finite. A task and its others
    have at least two items each. A feature's score must not depend on other features: columns come in blocks."""
    of_nothing: float
    """The score of a feature that tells nothing about the task; only features above it are chosen."""
    resampled: Callable[[Floats, Floats], Floats] | None = None
    """(values [n, F], groups [R, T, n]: how often an item stands in a task in sample r) -> [R, T, F]: a faster way to
    the same numbers for bootstrap samples. None: `scores` is computed for each sample."""


_SHIPPED = ("diff_of_means", "auroc", "frequency_gap")
SCORES: Registry[SelectionScore] = Registry(
    "score", "vsc_eval.scores", {name: f"{__name__}.{name}:{name.upper()}" for name in _SHIPPED}, SelectionScore
)
