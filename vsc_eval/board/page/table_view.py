"""A board's or an entry's table as the template and the script read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vsc_eval.tables.clean import name, plain
from vsc_eval.tables.table import Cell, Table, TableRow, column_groups

ROWS_AT_LOAD = 50
"""Rows of a table that are in the page as HTML; the script holds the others as data and shows them on demand."""

_FROM_THE_LEAST = ("text", "name", "place", "p")
"""Kinds of column whose first sorting is upwards: A, the first place and the smallest p stand on top."""

CellView = tuple[str, float | str | None, str]


def table_view(table: Table, places: Mapping[str, int]) -> dict[str, Any]:
    """Columns, rows and notes with their texts made plain. `places` gives the place on the board of an entry's id.

    A row is [cells, places of its entries, whether it is a headline, order, address of its condition's changed answers
    below the entry's own or None].
    """
    rows = [
        [
            list(map(_cell, row.cells, table.texts(row))),
            [places[entry] for entry in row.entries if entry in places],
            row.is_headline,
            order,
            _address(row),
        ]
        for order, row in enumerate(table.rows)
    ]
    return {
        "key": table.key,
        "title": plain(table.title, limit=200),
        "columns": [
            {
                "heading": name(column.head),
                "number": column.is_number,
                "about": plain(column.note),
                "rising": column.unit in _FROM_THE_LEAST,
            }
            for column in table.columns
        ],
        "keys": [column.key for column in table.columns],
        "groups": [(plain(group, limit=60), n) for group, n in column_groups(table.columns)],
        "header": next((i for i, column in enumerate(table.columns) if not column.is_number), 0),
        "home": next((i for i, column in enumerate(table.columns) if column.key == "model"), None),
        "subject": next((i for i, column in enumerate(table.columns) if column.key in ("condition", "union")), None),
        "rows": rows,
        "notes": [plain(note) for note in table.all_notes],
    }


def _address(row: TableRow) -> str | None:
    """As the script's encodeURIComponent writes the name that the page shows."""
    if row.condition is None:
        return None
    return "flips/" + quote(name(row.condition), safe="!'()*")


def _cell(cell: Cell, text: str) -> CellView:
    value = cell.value
    value = plain(value.casefold(), limit=60) if isinstance(value, str) else value
    return name(text), value, plain(cell.about, limit=300) if cell.about else ""
