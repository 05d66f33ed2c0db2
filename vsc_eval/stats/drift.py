"""What an edit did to the answers, and what two edits do together.

Drift is how many parsed answers changed against the baseline, and in which direction. Its five parts exclude each other
and add up to it: a change to or from `invalid` counts as that and as nothing else, so right -> invalid is not also a
right -> wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from vsc_eval.stats.bootstrap import Figure, Floats

PARTS = ("right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid")


@dataclass(frozen=True)
class Drift:
    """Share of changed answers with its interval, and the counts of its parts, which add up to `n_changed`."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    share: Figure
    n_changed: int
    right_to_wrong: int
    wrong_to_right: int
    wrong_to_other: int
    """From one wrong option to another: invisible in accuracy and in right/wrong flips."""
    to_invalid: int
    from_invalid: int


def change_parts(
    baseline: npt.NDArray[Any], condition: npt.NDArray[Any], gold: npt.NDArray[Any], invalid: str | int
) -> dict[str, npt.NDArray[np.bool_]]:
    """For each part a mask. Answers in any code, `invalid` being that of no answer; the arrays are broadcast against
    each other."""
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


def noise_floor(changed: npt.ArrayLike) -> float | None:
    """Largest share of changed answers among null conditions (another batch composition, an edit of strength zero),
    from `changed` [null conditions, items]: 1 where the answer is not the baseline's. None without conditions or
    items."""
    array = np.asarray(changed, dtype=np.float64)
    return float(array.mean(axis=1).max()) if array.size else None


def kl_options(baseline: npt.ArrayLike, condition: npt.ArrayLike) -> Floats:
    """KL(baseline || condition) [items] of two arrays of log-probabilities [items, options], each renormalised over the
    options. Where the baseline's probability is 0 the option adds nothing; where only the condition's is, KL is inf."""
    base = log_softmax(np.asarray(baseline, dtype=np.float64), axis=-1)
    cond = log_softmax(np.asarray(condition, dtype=np.float64), axis=-1)
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(base), 0.0, np.exp(base) * (base - cond))
    return np.asarray(np.maximum(terms.sum(axis=-1), 0))


def amplification(mean_shift_last: float | None, mean_shift_edited: float | None) -> float | None:
    """Relative shift of the last layer over that of the edited one; None where the edit moved nothing."""
    return None if mean_shift_last is None or not mean_shift_edited else mean_shift_last / mean_shift_edited


Formula = Callable[[Floats, Floats, Floats], Floats]
"""Interaction of a union, from A, B and A+B."""


def additive(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - x(A) - x(B)."""
    return union - a - b


def bliss(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - (x(A) + x(B) - x(A) x(B)): against two independent causes of change; of shares, not of single items."""
    return union - (a + b - a * b)


def over_mean(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - (x(A) + x(B)) / 2: for a union whose edit has the mean of its parts' norms."""
    return union - (a + b) / 2


def over_larger(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - max(x(A), x(B)): for a union whose edit has the larger of its parts' norms; of means, not of items."""
    return np.asarray(union - np.maximum(a, b))


def under_smaller(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - min(x(A), x(B)): the same of a gain, where less is worse."""
    return np.asarray(union - np.minimum(a, b))
