"""Figures as CSV (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re

from vsc_eval.board.tables.plain_text import LONG, plain
from vsc_eval.board.tables.table import Data, Plain

_FORMULA = re.compile(r"(^|[,;|\t]\s*)(?=['\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])")
"""Where a spreadsheet may begin a formula: at a cell's start, or behind what some countries' settings split at."""


def to_csv(data: Data) -> str:
    """UTF-8 text with CRLF line ends, to be written as it is. Numbers are as Python repeats them; None is empty."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow(data.columns)
    writer.writerows([_field(value) for value in row] for row in data.rows)
    return file.getvalue()


def _field(value: Plain) -> str | int | float:
    if value is None:
        return ""
    return safe_text(value) if isinstance(value, str) else value


def safe_text(text: str) -> str:
    """One line; an apostrophe before whatever a spreadsheet would compute."""
    return _FORMULA.sub(r"\1'", plain(text, LONG)) if text else ""
