"""Figures as CSV (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io

from vsc_eval.tables import clean
from vsc_eval.tables.table import Data, Plain, Table


def to_csv(data: Data | Table) -> str:
    """UTF-8 text with CRLF line ends, to be written as it is. Numbers are as Python repeats them; None is empty."""
    data = figures(data) if isinstance(data, Table) else data
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow(map(_field, data.columns))
    writer.writerows([_field(value) for value in row] for row in data.rows)
    return file.getvalue()


def figures(table: Table) -> Data:
    """All rows of a table in full precision: of a column with intervals its value, low and high."""
    wide = [any(row.cells[i].low is not None for row in table.rows) for i in range(len(table.columns))]
    columns = [
        name
        for column, has_interval in zip(table.columns, wide, strict=True)
        for name in (column.key, *((f"{column.key}_low", f"{column.key}_high") if has_interval else ()))
    ]
    rows = tuple(
        tuple(
            value
            for cell, has_interval in zip(row.cells, wide, strict=True)
            for value in (cell.value, *((cell.low, cell.high) if has_interval else ()))
        )
        for row in table.rows
    )
    return Data(tuple(columns), rows)


def _field(value: Plain) -> str | int | float:
    if value is None:
        return ""
    return clean.csv(value) if isinstance(value, str) else value
