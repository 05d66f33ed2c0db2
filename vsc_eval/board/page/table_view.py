"""A board's or an entry's table as the template and the script read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from vsc_eval.tables.clean import name, plain
from vsc_eval.tables.html import column_groups
from vsc_eval.tables.table import Cell, Table, TableRow

ROWS_AT_LOAD = 50
"""Rows of a table that are in the page as HTML; the script holds the others as data and shows them on demand."""

_FROM_THE_LEAST = ("text", "name", "place", "p")
"""Kinds of column whose first sorting is upwards: A, the first place and the smallest p stand on top."""


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
    columns = table.columns
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
            for column in columns
        ],
        "keys": [column.key for column in columns],
        "groups": [(plain(group, limit=60), n) for group, n in column_groups(table)],
        "header": _first(not column.is_number for column in columns) or 0,
        "home": _first(column.key == "model" for column in columns),
        "subject": _first(column.key in ("condition", "union") for column in columns),
        "rows": rows,
        "notes": [plain(note) for note in table.all_notes],
    }


def split_view(table: Table, places: Mapping[str, int]) -> dict[str, Any]:
    """The same with its first headline rows apart from those that are shown on demand, and what its columns say."""
    view = table_view(table, places)
    view["first"] = [row for row in view["rows"] if row[2]][:ROWS_AT_LOAD]
    orders = {row[3] for row in view["first"]}
    view["rest"] = [row for row in view["rows"] if row[3] not in orders]
    view["abouts"] = [(column["heading"], column["about"]) for column in view["columns"] if column["about"]]
    return view


def _first(found: Iterable[bool]) -> int | None:
    """The place of the first that is so."""
    return next((place for place, is_so in enumerate(found) if is_so), None)


def _address(row: TableRow) -> str | None:
    """As the script's encodeURIComponent writes the name that the page shows."""
    return None if row.condition is None else "flips/" + quote(name(row.condition), safe="!'()*")


def _cell(cell: Cell, text: str) -> tuple[str, float | str | None, str]:
    value = plain(cell.value.casefold(), limit=60) if isinstance(cell.value, str) else cell.value
    return name(text), value, plain(cell.about, limit=300) if cell.about else ""
