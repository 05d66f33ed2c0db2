"""Figures as CSV (RFC 4180), safe to open in a spreadsheet."""

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
    heads, rows = list[str](), [list[Plain]() for _ in table.rows]
    for i, column in enumerate(table.columns):
        has_interval = any(row.cells[i].low is not None for row in table.rows)
        heads += [column.key, *([f"{column.key}_low", f"{column.key}_high"] if has_interval else [])]
        for values, row in zip(rows, table.rows, strict=True):
            cell = row.cells[i]
            values += [cell.value, *([cell.low, cell.high] if has_interval else [])]
    return Data(tuple(heads), tuple(map(tuple, rows)))


def _field(value: Plain) -> str | int | float:
    if value is None:
        return ""
    return clean.csv(value) if isinstance(value, str) else value
