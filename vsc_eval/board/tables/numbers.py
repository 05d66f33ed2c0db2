"""Figures in words: shares in percent, differences in percentage points, p-values."""

from __future__ import annotations

from collections.abc import Callable

from vsc_eval.board.records import Interval
from vsc_eval.board.tables.table import MINUS, NONE

Words = Callable[[float], str]

_LEAST_P = 0.0001
_DIGITS = 6
"""More than is ever shown, and few enough to leave the noise of the multiplication out."""


def hundredfold(share: float) -> float:
    """In percent, or in points, as it is to be rounded and written."""
    return round(100 * share, _DIGITS) + 0.0


def percent(share: float) -> str:
    """`72.4`. Adding 0 takes the sign off what rounds to zero."""
    return _true_minus(f"{round(hundredfold(share), 1) + 0.0:.1f}")


def points(difference: float) -> str:
    """`+1.2`, `−0.3`; what rounds to zero has no sign."""
    rounded = round(hundredfold(difference), 1)
    return _true_minus(f"{rounded:+.1f}" if rounded else "0.0")


def with_interval(figure: Interval, words: Words) -> str:
    """`72.4 [68.1, 76.2]`, or the value alone where it has no interval."""
    if figure.value is None:
        return NONE
    if figure.low is None or figure.high is None:
        return words(figure.value)
    return f"{words(figure.value)} [{words(figure.low)}, {words(figure.high)}]"


def p_value(p: float) -> str:
    """Two significant digits."""
    return f"{p:.2g}" if p >= _LEAST_P else f"<{_LEAST_P}"


def _true_minus(text: str) -> str:
    return text.replace("-", MINUS)
