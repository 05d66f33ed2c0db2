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
from vsc_eval.tables.table import Cell, Column, Table, TableRow, column_groups, methods_note, table

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
        "groups": [(plain(group, limit=60), n) for group, n in column_groups(table.columns)],
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


def entry_tables(entry: Entry, board: Board) -> tuple[Table, ...]:
    """Those that have rows: every row of an external task, the figures of the data sets' own metrics in their own
    units, every effect beside the same effect of its control draws, and how much answers change where nothing was done
    to them."""
    external = [row for row in entry.results.rows if row.task in board.spec.tasks_of("external")]
    found = (
        table(
            "external",
            "External data sets",
            (
                Column("task", "Data set"),
                Column("part", "Part", note="All of it, or one level or category."),
                Column("condition", "Condition"),
                Column("n", "n", "count"),
                Column("accuracy", "Accuracy, %", "percent"),
                Column("invalid", "Invalid", "count", note="Answers that could not be read; they count as wrong."),
                Column(
                    "difference", "Difference, points", "points", note="Accuracy less the baseline's on the same items."
                ),
                Column("drift", "Drift, %", "percent", note="Answers that are not the baseline's."),
            ),
            map(_external_row, external),
            [methods_note(row.method for row in external)],
        ),
        table(
            "official",
            "Official figures of the data sets",
            (
                Column("task", "Data set"),
                Column("figure", "Figure"),
                Column("condition", "Condition"),
                Column("value", "Value", "significant", digits=3),
                Column("difference", "Difference", "signed", note="Less the baseline's, on the same items."),
                Column("unit", "Unit"),
            ),
            map(_official_row, entry.results.official),
        ),
        table(
            "controls",
            "Controls",
            (
                Column("sets", "Sets"),
                Column("kind", "Control draws"),
                Column("effect", "Effect", note="Of a single set, of a union, or of a union beyond its parts."),
                Column("outcome", "Outcome"),
                Column("value", "Real, points", "points"),
                Column("median", "Median draw, points", "points"),
                Column("range", "Draws from, to"),
                Column("draws", "Draws", "count"),
                Column("percentile", "Percentile", "percent", note="Share of draws that are less harmful, ties half."),
                Column("p", "p", "p", note="(1 + draws at least as harmful) / (1 + draws)."),
            ),
            map(_control_row, entry.results.controls),
        ),
        table(
            "floor",
            "Noise floor",
            (
                Column("name", "What was repeated"),
                Column("drift", "Drift, %", "percent"),
                Column("changed", "Answers changed", "count"),
                Column("logprob", "Largest change of a log-probability, nats", "significant", digits=3),
            ),
            [(one.name, one.drift, one.n_changed, one.max_logprob_difference) for one in entry.results.floor],
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
    draws, percentile = one.draws, None if one.percentile is None else one.percentile / 100
    span = f"{points(min(draws))} to {points(max(draws))}" if draws else None
    about = (" + ".join(one.sets), KIND_WORDS[one.kind], one.effect, OUTCOME_WORDS[one.outcome])
    return TableRow.of((*about, one.value, median(draws) if draws else None, span, len(draws), percentile, one.p))
