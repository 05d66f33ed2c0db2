"""A board's tables before they are Markdown, LaTeX or HTML, and the plain figures that go into CSV.

Texts of cells are for readers: U+2212 for minus, `–` for what is undefined, names of models as they were given.
Whoever writes a format escapes them for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
"""Shown where a figure is undefined or was not asked for; the cell's `about` or a note says why."""

Kind = Literal["text", "place", "count", "percent", "points", "p"]
"""text: words. place: `1` or `2=`. count: a whole number. percent: a share in percent, with or without an interval.
points: a signed difference in percentage points, with or without an interval. p: a p-value."""

Plain = str | int | float | None


@dataclass(frozen=True)
class Column:
    key: str
    """Plain letters and `_`; unique in its table."""
    heading: str
    kind: Kind
    group: str = ""
    """A heading over neighbouring columns that share it; empty for none."""
    about: str = ""
    """One sentence on what it is, for a tooltip."""
    limit: int = 40
    """Characters of a text that Markdown and LaTeX show, the last an ellipsis where it was cut."""

    @property
    def is_number(self) -> bool:
        """Whether it is set flush right and sorted by size."""
        return self.kind != "text"


MODEL = Column("model", "model", "text")
N_ITEMS = Column("n", "n", "count", about="Items")


@dataclass(frozen=True)
class Cell:
    text: str
    sort_value: float | str | None = None
    """Of one type in a column; None stands last whichever way it is sorted."""
    about: str = ""
    """Why it is undefined, or more of what it says; may hold text of the entry."""


@dataclass(frozen=True)
class Row:
    cells: tuple[Cell, ...]
    """As many as the table has columns."""
    entries: tuple[str, ...]
    """Ids of the entries that it is made of."""
    is_headline: bool = True
    """Whether printed tables (Markdown, LaTeX) show it; the page shows all rows."""
    condition: str | None = None
    """The condition that it is about; None in the baseline's tables."""


@dataclass(frozen=True)
class Table:
    key: str
    """Plain letters and `-`; unique on the board."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
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


@dataclass(frozen=True)
class Data:
    """Figures in full precision: shares and differences between 0 and 1, one number a column, None where undefined."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Plain, ...], ...]


@dataclass(frozen=True)
class BoardTables:
    """Everything that is printed of a board."""

    baseline: tuple[Table, ...]
    """`ranking`, `tasks`, `cells` where synthetic tasks were asked, `external` where others were."""
    interventions: tuple[Table, ...]
    """`effects`, `parts`, `unions`, `controls`: those for which some entry has figures; none where all entries are of
    baselines alone."""
    baseline_data: Data
    interventions_data: Data
