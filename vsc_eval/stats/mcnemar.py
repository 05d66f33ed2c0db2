"""Exact McNemar test of two sets of right and wrong answers to the same items."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats


@dataclass(frozen=True)
class McNemar:
    """The four cells and the exact two-sided p; `p_value` is None where no item differs."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    both_right: int
    only_baseline_right: int
    only_condition_right: int
    both_wrong: int
    p_value: float | None
    reason: str | None
    method: str = "exact McNemar, two-sided, items taken as independent (no clusters)"


def mcnemar(baseline_right: npt.ArrayLike, condition_right: npt.ArrayLike) -> McNemar:
    """Both arguments [items], bool, in the same order of items."""
    base, cond = np.asarray(baseline_right, dtype=bool), np.asarray(condition_right, dtype=bool)
    if base.shape != cond.shape:
        raise ValueError(f"{base.shape} baseline answers but {cond.shape} condition answers")
    lost, won = int(np.sum(base & ~cond)), int(np.sum(~base & cond))
    return mcnemar_of_cells(int(np.sum(base & cond)), lost, won, int(np.sum(~base & ~cond)))


def mcnemar_of_cells(both_right: int, only_baseline_right: int, only_condition_right: int, both_wrong: int) -> McNemar:
    """The same from the four cells."""
    differ = only_baseline_right + only_condition_right
    return McNemar(
        both_right=both_right,
        only_baseline_right=only_baseline_right,
        only_condition_right=only_condition_right,
        both_wrong=both_wrong,
        p_value=_exact_p(only_condition_right, differ) if differ else None,
        reason=None if differ else "no item is right under one of the two only",
    )


@lru_cache(maxsize=4096)
def _exact_p(won: int, differ: int) -> float:
    return float(stats.binomtest(won, differ, 0.5).pvalue)
