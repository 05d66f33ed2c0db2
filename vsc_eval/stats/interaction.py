"""Whether a union of two sets does more or less than its parts together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vsc_eval.stats.bootstrap import Floats

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
    above: Floats = union - np.maximum(a, b)
    return above


def under_smaller(a: Floats, b: Floats, union: Floats) -> Floats:
    """x(A+B) - min(x(A), x(B)): the same of a gain, where less is worse."""
    above: Floats = union - np.minimum(a, b)
    return above
