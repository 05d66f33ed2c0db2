"""One entry's own tables: external data sets, their official figures, controls, noise floor."""

from __future__ import annotations

from statistics import median

from vsc_eval.board.board import Board
from vsc_eval.board.page.numbers import figure, signed_figure
from vsc_eval.board.records import BoardRow, ControlFigure, Entry, Interval
from vsc_eval.board.tables import Cell, Column, Row, Table
from vsc_eval.board.tables.numbers import Words, p_value, percent, points, with_interval
from vsc_eval.board.tables.table import NONE

KIND_WORDS = {
    "random_sets": "matched random sets",
    "random_directions": "random directions",
    "permuted_labels": "permuted labels",
}
OUTCOME_WORDS = {"drift": "drift", "accuracy": "accuracy difference"}


def external_table(entry: Entry, board: Board) -> Table | None:
    """Every row of an external task; None where none was asked."""
    asked = board.spec.tasks_of("external")
    rows = [row for row in entry.rows if row.task in asked]
    if not rows:
        return None
    columns = (
        Column("task", "Data set", "text"),
        Column("part", "Part", "text", about="All of it, or one level or category."),
        Column("condition", "Condition", "text"),
        Column("n", "n", "count"),
        Column("accuracy", "Accuracy, %", "percent"),
        Column("invalid", "Invalid", "count", about="Answers that could not be read; they count as wrong."),
        Column("difference", "Difference, points", "points", about="Accuracy less the baseline's on the same items."),
        Column("drift", "Drift, %", "percent", about="Answers that are not the baseline's."),
    )
    return Table(
        key="external",
        title="External data sets",
        columns=columns,
        rows=tuple(_external_row(row) for row in rows),
        notes=tuple(dict.fromkeys(f"Intervals: {row.method}." for row in rows)),
    )


def _external_row(row: BoardRow) -> Row:
    part = ", ".join(text for text in (row.level, row.category and f"{row.by}: {row.category}") if text)
    cells = (
        _text(row.task or ""),
        _text(part or "all"),
        _text(row.condition),
        Cell(f"{row.n:,}", row.n),
        _number(row.accuracy, percent),
        Cell(f"{row.n_invalid:,}", row.n_invalid),
        Cell(NONE) if row.difference is None else _number(row.difference, points),
        Cell(NONE) if row.drift is None else _number(row.drift, percent),
    )
    return Row(cells, entries=(), condition=row.condition)


def official_table(entry: Entry) -> Table | None:
    """Figures of the data sets' own metrics, in their own units."""
    if not entry.official:
        return None
    columns = (
        Column("task", "Data set", "text"),
        Column("figure", "Figure", "text"),
        Column("condition", "Condition", "text"),
        Column("value", "Value", "percent"),
        Column("difference", "Difference", "points", about="Less the baseline's, on the same items."),
        Column("unit", "Unit", "text"),
    )
    rows = tuple(
        Row(
            (
                _text(one.task),
                _text(one.figure if one.figure == one.metric else f"{one.metric}: {one.figure}"),
                _text(one.condition),
                _number(one.value, figure),
                Cell(NONE) if one.difference is None else _number(one.difference, signed_figure),
                _text(one.unit),
            ),
            entries=(),
            is_headline=one.is_main,
            condition=one.condition,
        )
        for one in entry.official
    )
    return Table("official", "Official figures of the data sets", columns, rows)


def control_table(entry: Entry) -> Table | None:
    """Every effect beside the same effect of its control draws."""
    if not entry.controls:
        return None
    columns = (
        Column("sets", "Sets", "text"),
        Column("kind", "Control draws", "text"),
        Column("effect", "Effect", "text", about="Of a single set, of a union, or of a union beyond its parts."),
        Column("outcome", "Outcome", "text"),
        Column("value", "Real, points", "points"),
        Column("median", "Median draw, points", "points"),
        Column("range", "Draws from, to", "text"),
        Column("draws", "Draws", "count"),
        Column("percentile", "Percentile", "percent", about="Share of draws that are less harmful, ties half."),
        Column("p", "p", "p", about="(1 + draws at least as harmful) / (1 + draws)."),
    )
    return Table("controls", "Controls", columns, tuple(_control_row(one) for one in entry.controls))


def _control_row(one: ControlFigure) -> Row:
    draws = one.draws
    middle = median(draws) if draws else None
    cells = (
        _text(" + ".join(one.sets)),
        _text(KIND_WORDS[one.kind]),
        _text(one.effect),
        _text(OUTCOME_WORDS[one.outcome]),
        Cell(points(one.value), one.value),
        Cell(NONE if middle is None else points(middle), middle),
        Cell(f"{points(min(draws))} to {points(max(draws))}" if draws else NONE, min(draws, default=None)),
        Cell(str(len(draws)), len(draws)),
        Cell(NONE if one.percentile is None else f"{one.percentile:.1f}", one.percentile),
        Cell(NONE if one.p is None else p_value(one.p), one.p),
    )
    return Row(cells, entries=())


def floor_table(entry: Entry) -> Table | None:
    """How much answers change where nothing was done to them."""
    if not entry.floor:
        return None
    columns = (
        Column("name", "What was repeated", "text"),
        Column("drift", "Drift, %", "percent"),
        Column("changed", "Answers changed", "count"),
        Column("logprob", "Largest change of a log-probability, nats", "percent"),
    )
    rows = tuple(
        Row(
            (
                _text(one.name),
                _number(one.drift, percent),
                Cell(f"{one.n_changed:,}", one.n_changed),
                Cell(figure(one.max_logprob_difference), one.max_logprob_difference),
            ),
            entries=(),
        )
        for one in entry.floor
    )
    return Table("floor", "Noise floor", columns, rows)


def _text(text: str) -> Cell:
    return Cell(text, text.casefold())


def _number(interval: Interval, words: Words) -> Cell:
    return Cell(with_interval(interval, words), interval.value, interval.reason or "")
