"""Numbers in words, the same everywhere: shares in percent, differences in percentage points, p values, intervals.

A minus is U+2212, as print has it; the terminal's renderer writes the hyphen that people type and search for.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from vsc_eval.stats.bootstrap import Figure

MINUS = "\N{MINUS SIGN}"
UNDEFINED = "\N{EN DASH}"
"""Stands where a number is undefined or was not asked for; a note says why."""

Unit = Literal["text", "name", "place", "count", "percent", "points", "p", "decimal", "significant", "signed"]
"""text: words. name: a name as it is typed. place: a rank. count: a whole number. percent: a share, in percent.
points: a signed difference of shares, in percentage points. p: a p value. decimal: with fixed digits. significant,
signed: with so many significant digits, without and with a plus."""

Words = Callable[[float], str]

_LEAST_P = 0.0001
_NOISE = 6
"""Digits kept of a hundredfold: more than is ever shown, few enough to leave the noise of the multiplication out."""


def hundredfold(share: float) -> float:
    """In percent, or in points, as it is to be rounded and written."""
    return round(100 * share, _NOISE) + 0.0


def percent(share: float | None, digits: int = 1) -> str:
    """`72.4`."""
    return UNDEFINED if share is None else decimal(hundredfold(share), digits)


def points(difference: float | None, digits: int = 1) -> str:
    """`+1.2`, `−0.3`; what rounds to zero is `+0.0`."""
    if difference is None:
        return UNDEFINED
    return _true_minus(f"{round(hundredfold(difference), digits) + 0.0:+.{digits}f}")


def in_points(share: float) -> str:
    """`1 point`, `2.5 points`: a size that a spec names as a share."""
    return f"{100 * share:g} {'point' if abs(share - 0.01) < 1e-12 else 'points'}"


def p_value(p: float | None) -> str:
    """Two significant digits; `<0.0001` below that."""
    if p is None:
        return UNDEFINED
    return f"{p:.2g}" if p >= _LEAST_P else f"<{_LEAST_P}"


def decimal(value: float | None, digits: int = 4) -> str:
    """So many digits behind the point. Adding 0 takes the sign off what rounds to zero."""
    return UNDEFINED if value is None else _true_minus(f"{round(value, digits) + 0.0:.{digits}f}")


def significant(value: float | None, digits: int = 2) -> str:
    """So many significant digits, for what spans orders of magnitude."""
    return UNDEFINED if value is None else _true_minus(f"{value:.{digits}g}")


def signed(value: float | None, digits: int = 3) -> str:
    """Significant digits, with a plus before what is above zero."""
    return f"+{significant(value, digits)}" if value is not None and value > 0 else significant(value, digits)


def count(n: float) -> str:
    """`1,234`."""
    return f"{n:,.0f}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def span(values: Iterable[float | None], write: Words = percent) -> str:
    """`0.9 to 1.4`, of those that are defined."""
    known = [value for value in values if value is not None]
    if not known:
        return UNDEFINED
    low, high = write(min(known)), write(max(known))
    return low if low == high else f"{low} to {high}"


def interval(value: float | None, low: float | None, high: float | None, write: Words) -> str:
    """`72.4 [68.1, 76.2]`, or the value alone where it has no interval."""
    if value is None:
        return UNDEFINED
    return write(value) if low is None or high is None else f"{write(value)} [{write(low)}, {write(high)}]"


def with_interval(figure: Figure | None, write: Words) -> str:
    """The same of an estimate; None is undefined."""
    return UNDEFINED if figure is None else interval(figure.value, figure.low, figure.high, write)


def writer(unit: Unit, digits: int | None = None) -> Words:
    """What writes a number of that unit, with its usual digits unless others are named."""
    known: dict[str, Callable[..., str]] = {
        "place": count,
        "count": count,
        "percent": percent,
        "points": points,
        "p": p_value,
        "decimal": decimal,
        "significant": significant,
        "signed": signed,
    }
    found = known[unit]
    return found if digits is None else lambda value: found(value, digits)


def _true_minus(text: str) -> str:
    # Of exponents too.
    return text.replace("-", MINUS)
