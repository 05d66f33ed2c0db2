"""Cells of each kind, and the notes on what is undefined in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vsc_eval.board.records import BoardRow, Interval
from vsc_eval.board.tables.numbers import p_value, percent, points, with_interval
from vsc_eval.board.tables.plain_text import plain
from vsc_eval.board.tables.table import NONE, Cell, Row

_REASON_LENGTH = 100
_MOST_REASONS = 4

NO_VALUE = "Undefined: "
NO_INTERVAL = "No interval: "
"""What the `about` of such cells begins with; the notes are made from them."""


def text_cell(text: str, about: str = "") -> Cell:
    return Cell(text, text, about)


def count_cell(count: int) -> Cell:
    return Cell(str(count), float(count))


def missing_cell(reason: str) -> Cell:
    return Cell(NONE, None, f"{NO_VALUE}{plain(reason, _REASON_LENGTH)}")


def percent_cell(figure: Interval | None, reason: str, about: str = "") -> Cell:
    """A share; `reason` is that of a figure that is not there at all."""
    if figure is None:
        return missing_cell(reason)
    return Cell(with_interval(figure, percent), figure.value, _about(figure) or about)


def share_cell(share: float, about: str = "") -> Cell:
    """A share that is shown without an interval."""
    return Cell(percent(share), share, about)


def points_cell(figure: Interval | None, reason: str) -> Cell:
    """A difference."""
    if figure is None:
        return missing_cell(reason)
    return Cell(with_interval(figure, points), figure.value, _about(figure))


def p_cell(p: float | None, reason: str) -> Cell:
    return missing_cell(reason) if p is None else Cell(p_value(p), p)


def reason_notes(rows: Iterable[Row]) -> tuple[str, ...]:
    """Why figures or intervals are missing in these rows, each reason once, the most frequent first."""
    abouts = (cell.about for row in rows for cell in row.cells)
    counts = Counter(about for about in abouts if about.startswith((NO_VALUE, NO_INTERVAL)))
    notes = []
    for start, words in ((NO_VALUE, f"{NONE} is undefined"), (NO_INTERVAL, "No interval")):
        found = {about.removeprefix(start): n for about, n in counts.items() if about.startswith(start)}
        common = sorted(found, key=lambda reason: (-found[reason], reason))
        if common:
            left = len(common) - _MOST_REASONS
            more = [f"{left} other {'reason' if left == 1 else 'reasons'}"] if left > 0 else []
            notes.append(f"{words}: {'; '.join([*common[:_MOST_REASONS], *more])}.")
    return tuple(notes)


def methods_note(rows: Iterable[BoardRow]) -> str:
    """How the intervals of these rows came to be."""
    methods = dict.fromkeys(plain(row.method, 200) for row in rows)
    return f"Intervals: {'; or '.join(list(methods)[:3])}."


def _about(figure: Interval) -> str:
    if figure.value is None:
        return f"{NO_VALUE}{plain(figure.reason or 'no reason given', _REASON_LENGTH)}"
    if figure.low is None or figure.high is None:
        return f"{NO_INTERVAL}{plain(figure.reason or 'no reason given', _REASON_LENGTH)}"
    return ""
