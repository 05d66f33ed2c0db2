"""A table before it is text of some format.

Its cells are numbers with or without an interval, texts as they were given, or nothing, with the reason. How a number
is written is its column's to say; whoever writes a format escapes the texts for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from vsc_eval.stats.bootstrap import Figure
from vsc_eval.tables.clean import LONG, plain
from vsc_eval.tables.numbers import UNDEFINED, Unit, interval, writer

_MOST_REASONS = 4
_REASON = 100
"""Characters of one."""
_MOST_METHODS = 3

Plain = str | int | float | None
Value = Plain | Figure


@dataclass(frozen=True)
class Column:
    key: str
    """Plain letters and `_`; unique in its table."""
    head: str
    unit: Unit = "text"
    group: str = ""
    """A heading over neighbouring columns that share it; empty for none."""
    note: str = ""
    """One sentence on what it is, for a tooltip."""
    limit: int = 40
    """Characters of a text that printed formats show, the last an ellipsis where it was cut."""
    digits: int | None = None
    """None: as many as its unit usually has."""
    right: bool | None = None
    """Flush right; None: numbers are, words are not."""

    @property
    def is_number(self) -> bool:
        """Whether it is sorted by size."""
        return self.unit not in ("text", "name")

    @property
    def is_right(self) -> bool:
        return self.is_number if self.right is None else self.right

    @property
    def full_head(self) -> str:
        """For formats without headings over several columns."""
        return f"{self.group}: {self.head}" if self.group else self.head


@dataclass(frozen=True)
class Cell:
    value: str | float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    """Why there is no value, or no interval of it."""
    note: str = ""
    """More of what it says, for a tooltip; may hold foreign text."""
    suffix: str = ""
    """Our own characters behind a number, such as ` (60)`."""

    @property
    def about(self) -> str:
        """What a tooltip says."""
        if not self.reason or self.low is not None:
            return self.note
        return f"{'Undefined' if self.value is None else 'No interval'}: {self.reason}"


def cell(value: Value | Cell, *, missing: str = "", note: str = "", suffix: str = "") -> Cell:
    """A cell of anything that a table shows; `missing` is the reason of what is not there and gives none itself."""
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell(None, reason=missing)
    if isinstance(value, str | int | float):
        return Cell(value, note=note, suffix=suffix)
    reason = "" if value.low is not None else value.reason or missing or "no reason given"
    return Cell(value.value, value.low, value.high, reason, note, suffix)


@dataclass(frozen=True)
class TableRow:
    cells: tuple[Cell, ...]
    """As many as the table has columns."""
    entries: tuple[str, ...] = ()
    """Of a board's table: ids of the entries that it is made of."""
    is_headline: bool = True
    """Whether printed formats show it; a page shows all rows."""
    condition: str | None = None
    """The condition that it is about, for links."""

    @classmethod
    def of(cls, values: Iterable[Value | Cell], **about: Any) -> TableRow:
        return cls(tuple(map(cell, values)), **about)


@dataclass(frozen=True)
class Table:
    key: str
    """Plain letters and `-`; unique in its document."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    """In the order in which they are printed."""
    notes: tuple[str, ...] = ()
    section: str | None = None
    """Key of a column whose equal values stand together and which narrow formats may print as a heading instead."""

    def __post_init__(self) -> None:
        assert len({column.key for column in self.columns}) == len(self.columns), self.key
        assert all(len(row.cells) == len(self.columns) for row in self.rows), self.key

    def index(self, key: str) -> int:
        """The place of a column."""
        return next(i for i, column in enumerate(self.columns) if column.key == key)

    def texts(self, row: TableRow) -> list[str]:
        """Its cells as they are shown, before a format escapes them."""
        return list(map(shown, row.cells, self.columns))

    @property
    def headlines(self) -> list[TableRow]:
        return [row for row in self.rows if row.is_headline]

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and why numbers or intervals are missing: each reason once, the most frequent first."""
        all_cells = [found for row in self.rows for found in row.cells if found.reason and found.low is None]
        notes = list(self.notes)
        for undefined, words in ((True, f"{UNDEFINED} is undefined"), (False, "No interval")):
            counts = Counter(plain(c.reason, _REASON) for c in all_cells if (c.value is None) == undefined)
            common = sorted(counts, key=lambda reason: (-counts[reason], reason))
            if common:
                left = len(common) - _MOST_REASONS
                more = [f"{left} other {'reason' if left == 1 else 'reasons'}"] if left > 0 else []
                notes.append(f"{words}: {'; '.join([*common[:_MOST_REASONS], *more])}.")
        return tuple(notes)


def table(
    key: str,
    title: str,
    columns: Sequence[Column],
    rows: Iterable[TableRow | Iterable[Value | Cell]],
    notes: Iterable[str | None] = (),
    *,
    section: str | None = None,
) -> Table:
    """A table of rows or of their values. Notes that are None or empty are left out."""
    made = tuple(row if isinstance(row, TableRow) else TableRow.of(row) for row in rows)
    return Table(key, title, tuple(columns), made, tuple(note for note in notes if note), section)


def columns(*heads: str | Sequence[Any] | Column) -> tuple[Column, ...]:
    """Columns from (head, unit, group, ...) or heads of texts alone; their keys are made from their heads."""
    found: dict[str, Column] = {}
    for head in heads:
        if isinstance(head, Column):
            found[head.key] = head
            continue
        made = Column("", head) if isinstance(head, str) else Column("", *head)
        key = re.sub(r"\W+", "_", made.full_head.lower()).strip("_") or "column"
        key = key if key not in found else f"{key}_{len(found)}"
        found[key] = replace(made, key=key)
    return tuple(found.values())


def by_columns(key: str, title: str, *parts: tuple[Any, ...], notes: Iterable[str | None] = ()) -> Table:
    """A table of columns: each part is (head, unit, ..., the column's values), or (a Column, its values)."""
    heads = columns(*(head[0] if isinstance(head[0], Column) else head for *head, _ in parts))
    return table(key, title, heads, zip(*(values for *_, values in parts), strict=True), notes)


def column_groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """[(heading over columns, how many)] from left to right; empty where no column has one."""
    groups = [(group, len(list(members))) for group, members in groupby(column.group for column in columns)]
    return groups if any(group for group, _ in groups) else []


def shown(found: Cell, column: Column) -> str:
    """The words of a cell."""
    if found.value is None:
        return UNDEFINED
    if isinstance(found.value, str):
        return found.value + found.suffix
    return interval(found.value, found.low, found.high, writer(column.unit, column.digits)) + found.suffix


def methods_note(methods: Iterable[str | None]) -> str | None:
    """How intervals came to be, each way once."""
    found = list(dict.fromkeys(plain(method, LONG) for method in methods if method))
    return f"Intervals: {'; or '.join(found[:_MOST_METHODS])}." if found else None


@dataclass(frozen=True)
class Data:
    """Figures in full precision: shares and differences between 0 and 1, one number a column, None where undefined."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Plain, ...], ...]
