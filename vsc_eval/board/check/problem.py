"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass

from vsc_eval.board.records import Interval

TOLERANCE = 2e-6
"""Figures are written with six significant digits; they are shares, or differences of shares."""

MEND = "Entries are not edited by hand: publish the run again with `vsc-eval publish RUN --to BOARD --replace`."


@dataclass(frozen=True)
class Finding:
    """Something wrong inside an entry."""

    place: str
    what: str
    hint: str = MEND


@dataclass(frozen=True)
class Problem:
    """Something wrong with a board."""

    file: str
    """Below the board's folder."""
    place: str
    """Inside the file; empty for the file itself."""
    what: str
    hint: str

    def __str__(self) -> str:
        place = f", at '{self.place}'" if self.place else ""
        return f"{self.file}{place}: {self.what}. {self.hint}"


def differs(found: float | None, right: float | None) -> bool:
    """Whether two figures are not the same but for their last digits."""
    if found is None or right is None:
        return found is not right
    return abs(found - right) > TOLERANCE * max(1.0, abs(right))


def number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:g}"


def interval_faults(interval: Interval, *, low: float, high: float, holds_value: bool = True) -> list[str]:
    """What is wrong with an interval whose values are from `low` to `high`; `holds_value`: it is of a mean, whose
    percentile interval contains it."""
    value, bounds = interval.value, (interval.low, interval.high)
    if value is None:
        faults = [] if interval.reason else ["it is undefined without a reason"]
        return faults + (["it has bounds and no value"] if bounds != (None, None) else [])
    if not low - TOLERANCE <= value <= high + TOLERANCE:
        return [f"{number(value)} is not between {low:g} and {high:g}"]
    if interval.low is None or interval.high is None:
        if bounds != (None, None):
            return ["it has one bound of two"]
        return [] if interval.reason else ["it has no interval and no reason"]
    inner = value if holds_value else interval.low
    if not low - TOLERANCE <= interval.low <= inner + TOLERANCE <= interval.high + 2 * TOLERANCE:
        return [f"the interval [{number(interval.low)}, {number(interval.high)}] does not contain {number(value)}"]
    return [f"the bound {number(interval.high)} is above {high:g}"] if interval.high > high + TOLERANCE else []
