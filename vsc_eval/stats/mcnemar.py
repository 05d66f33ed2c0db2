"""Exact McNemar test of two sets of right and wrong answers to the same items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats


@dataclass(frozen=True)
class McNemar:
    """The four cells and the exact two-sided p; `p_value` is None where no item differs."""

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
    p_value = float(stats.binomtest(won, won + lost, 0.5).pvalue) if won + lost else None
    return McNemar(
        both_right=int(np.sum(base & cond)),
        only_baseline_right=lost,
        only_condition_right=won,
        both_wrong=int(np.sum(~base & ~cond)),
        p_value=p_value,
        reason=None if won + lost else "no item is right under one of the two only",
    )
