"""Numbers of an entry as the page's charts and tables need them."""

from __future__ import annotations

from collections.abc import Callable

from vsc_eval.leaderboard.records import Interval

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"

Triple = tuple[float | None, float | None, float | None]


def percent(interval: Interval) -> Triple:
    """Value, low and high times 100, to two decimals; None stays None."""
    return _hundred(interval.value), _hundred(interval.low), _hundred(interval.high)


def share(interval: Interval) -> str:
    """`72.4 [68.1, 76.2]`, in percent."""
    return with_ends(interval, lambda value: f"{round(100 * value, 1) + 0.0:.1f}")


def points(interval: Interval) -> str:
    """`−1.2 [−3.0, +0.4]`, in percentage points."""
    return with_ends(interval, lambda value: signed(100 * value))


def signed(value: float, digits: int = 1) -> str:
    """`+1.2`, `−0.3`; what rounds to zero has no sign."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", MINUS) if rounded else f"{0:.{digits}f}"


def figure(value: float, digits: int = 3) -> str:
    """Three significant digits, with a true minus."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def _hundred(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2) + 0.0


def with_ends(interval: Interval, words: Callable[[float], str]) -> str:
    if interval.value is None:
        return NONE
    if interval.low is None or interval.high is None:
        return words(interval.value)
    return f"{words(interval.value)} [{words(interval.low)}, {words(interval.high)}]"
