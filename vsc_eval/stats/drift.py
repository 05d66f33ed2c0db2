"""Drift: how many parsed answers changed against the baseline, and in which direction.

The five parts exclude each other and add up to the drift. A change to or from `invalid` counts as that and as nothing
else, so right -> invalid is not also a right -> wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.figure import Figure

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
