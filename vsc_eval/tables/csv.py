"""Figures as CSV (RFC 4180), safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from vsc_eval.records import Record
from vsc_eval.tables import clean
from vsc_eval.tables.table import Data, Plain, Table


def to_csv(data: Data | Table, limit: int = clean.LONG) -> str:
    """UTF-8 text with CRLF line ends, to be written as it is. Numbers are as Python repeats them, texts cut to `limit`
    characters; None is empty."""
    data = figures(data) if isinstance(data, Table) else data
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerows([_field(value, limit) for value in row] for row in (data.columns, *data.rows))
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


def record_data(records: Iterable[Record]) -> Data:
    """A row a record. The parts of a field are columns of their own, `drift_share_low`, and so are a list's numbers,
    `draws_1`; its words are joined by `+`. A column in which nothing is defined is left out."""
    rows = [dict(_flat(record.model_dump(mode="json"))) for record in records]
    # Of the fullest row, so that neighbours stay neighbours.
    heads = tuple(dict.fromkeys(chain(*sorted(rows, key=len)[-1:], *rows)))
    return Data(heads, tuple(tuple(row.get(head) for head in heads) for row in rows))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Plain]]:
    if isinstance(value, list):
        is_words = bool(value) and isinstance(value[0], str)
        value = "+".join(value) if is_words else dict(enumerate(value, start=1))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{name}_{key}" if name else key)
    elif value is not None:
        yield name, value


def _field(value: Plain, limit: int) -> str | int | float:
    if value is None:
        return ""
    return clean.csv(value, limit) if isinstance(value, str) else value
