"""Numbers of an entry as the page's charts need them, and figures in units of their own."""

from __future__ import annotations

from vsc_eval.board.records import Interval
from vsc_eval.board.tables.numbers import hundredfold
from vsc_eval.board.tables.table import MINUS

Triple = tuple[float | None, float | None, float | None]


def triple(interval: Interval) -> Triple:
    """Value, low and high in percent or points, so exact that they are rounded as in the tables; None stays None."""
    return _hundred(interval.value), _hundred(interval.low), _hundred(interval.high)


def figure(value: float) -> str:
    """Three significant digits, with a true minus."""
    return f"{value:.3g}".replace("-", MINUS)


def signed_figure(value: float) -> str:
    """The same with a plus before what is above zero."""
    return f"+{figure(value)}" if value > 0 else figure(value)


def _hundred(value: float | None) -> float | None:
    return None if value is None else hundredfold(value)
