"""An entry's own tables (external data sets, their official figures, controls, noise floor), and any table of a board
or an entry as the template and the script read it."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any
from urllib.parse import quote

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.official import OfficialRow
from vsc_eval.analysis.rows import Row
from vsc_eval.board.board import Board
from vsc_eval.board.records import Entry, drift_share
from vsc_eval.studies.words import KIND_WORDS, OUTCOME_WORDS
from vsc_eval.tables.clean import name, plain
from vsc_eval.tables.numbers import points
from vsc_eval.tables.table import Cell, Column, Table, TableRow, column_groups, columns, methods_note, table

ROWS_AT_LOAD = 50
"""Rows of a table that are in the page as HTML; the script holds the others as data and shows them on demand."""

_FROM_THE_LEAST = ("text", "name", "place", "p")
"""Kinds of column whose first sorting is upwards: A, the first rank and the smallest p stand on top."""
_PERCENTILE = "Share of draws that are less harmful, ties half."


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
            # As the script's encodeURIComponent writes the name that the page shows.
            None if row.condition is None else "flips/" + quote(name(row.condition), safe="!'()*"),
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
        "groups": [(plain(group, limit=60), n) for group, n in column_groups(table.columns)],
        "header": _first(not column.is_number for column in table.columns) or 0,
        "home": _first(column.key == "model" for column in table.columns),
        "subject": _first(column.key == "condition" for column in table.columns),
        "rows": rows,
        "notes": [plain(note) for note in table.all_notes],
    }


def split_view(table: Table, places: Mapping[str, int]) -> dict[str, Any]:
    """The same with its first headline rows apart from those that are shown on demand."""
    view = table_view(table, places)
    first = [row for row in view["rows"] if row[2]][:ROWS_AT_LOAD]
    orders = {row[3] for row in first}
    return view | {"first": first, "rest": [row for row in view["rows"] if row[3] not in orders]}


def _first(found: Iterable[bool]) -> int | None:
    """The place of the first that is so."""
    return next((place for place, is_so in enumerate(found) if is_so), None)


def _cell(cell: Cell, text: str) -> tuple[str, float | str | None, str]:
    value = plain(cell.value.casefold(), limit=60) if isinstance(cell.value, str) else cell.value
    return name(text), value, plain(cell.about, limit=300) if cell.about else ""


def entry_tables(entry: Entry, board: Board) -> tuple[Table, ...]:
    """Those that have rows: every row of an external task, the figures of the data sets' own metrics in their own
    units, every effect beside the same effect of its control draws, and how much answers change where nothing was done
    to them."""
    results, names = entry.results, board.spec.tasks_of("external")
    external = [row for row in results.rows if row.task in names]
    found = (
        table(
            "external",
            "External data sets",
            columns(
                "Data set",
                ("Part", "text", "", "All of it, or one level or category."),
                "Condition",
                ("n", "count"),
                ("Accuracy, %", "percent"),
                ("Invalid", "count", "", "Answers that could not be read; they count as wrong."),
                ("Difference, points", "points", "", "Accuracy less the baseline's on the same items."),
                ("Drift, %", "percent", "", "Answers that are not the baseline's."),
            ),
            map(_external_row, external),
            [methods_note(row.method for row in external)],
        ),
        table(
            "official",
            "Official figures of the data sets",
            columns(
                "Data set",
                "Figure",
                "Condition",
                Column("value", "Value", "significant", digits=3),
                ("Difference", "signed", "", "Less the baseline's, on the same items."),
                "Unit",
            ),
            map(_official_row, results.official),
        ),
        table(
            "controls",
            "Controls",
            columns(
                "Sets",
                "Control draws",
                ("Effect", "text", "", "Of a single set, of a combined edit, or of a combined edit beyond its parts."),
                "Outcome",
                ("Real, points", "points"),
                ("Median draw, points", "points"),
                "Draws from, to",
                ("Draws", "count"),
                Column("percentile", "Percentile", "decimal", "", _PERCENTILE, digits=1),
                ("p", "p", "", "(1 + draws at least as harmful) / (1 + draws)."),
            ),
            map(_control_row, results.controls),
        ),
        table(
            "floor",
            "Noise floor",
            columns(
                "What was repeated",
                ("Drift, %", "percent"),
                ("Answers changed", "count"),
                Column("logprob", "Largest change of a log-probability, nats", "significant", digits=3),
            ),
            [(one.name, one.drift, one.n_changed, one.max_logprob_difference) for one in results.floor],
        ),
    )
    return tuple(table for table in found if table.rows)


def _external_row(row: Row) -> TableRow:
    part = ", ".join(text for text in (row.level, row.category and f"{row.by}: {row.category}") if text)
    figures = (row.n, row.accuracy, row.n_invalid, row.difference, drift_share(row))
    return TableRow.of((row.task, part or "all", row.condition, *figures), condition=row.condition)


def _official_row(one: OfficialRow) -> TableRow:
    figure = one.figure if one.figure == one.metric else f"{one.metric}: {one.figure}"
    values = (one.task, figure, one.condition, one.value, one.difference, one.unit)
    return TableRow.of(values, is_headline=one.is_main, condition=one.condition)


def _control_row(one: ControlTest) -> TableRow:
    draws = one.draws
    ends = f"{points(min(draws))} to {points(max(draws))}" if draws else None
    about = (" + ".join(one.sets), KIND_WORDS[one.kind], one.effect, OUTCOME_WORDS[one.outcome])
    return TableRow.of((*about, one.value, median(draws) if draws else None, ends, len(draws), one.percentile, one.p))
