"""The baseline on external data sets: each with its own places, and the figure that it is known by."""

from __future__ import annotations

from vsc_eval.board.records import Entry, OfficialFigure
from vsc_eval.board.tables.baseline import (
    BACKEND,
    PLACE,
    Ranked,
    accuracy_cell,
    invalid_cell,
    model_about,
    place_cell,
    place_note,
    ranked,
)
from vsc_eval.board.tables.cells import count_cell, missing_cell, percent_cell, reason_notes, text_cell
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.models import backend_words, right_answers
from vsc_eval.board.tables.ranks import Answered
from vsc_eval.board.tables.table import MODEL, N_ITEMS, Cell, Column, Row, Table
from vsc_eval.specs import BASELINE

NO_METRIC = "the data set has no metric of its own here"


def external_rankings(view: BoardView) -> dict[str, tuple[Ranked, ...]]:
    """Task -> its models by the share of right items."""
    found = {}
    for task in view.external:
        models = []
        for model in view.models:
            entry = model.external.get(task)
            row = view.baseline(entry, "task", task) if entry else None
            if entry is not None and row is not None:
                ids, clusters, right = right_answers(entry, (task,))
                models.append((model, Answered((entry.scoring, ids), clusters, right), row))
        if models:
            found[task] = ranked(models)
    return found


def external_table(rankings: dict[str, tuple[Ranked, ...]]) -> Table | None:
    """`external`; None where no model has an external data set."""
    if not rankings:
        return None
    rows = tuple(_row(task, found) for task, ranking in rankings.items() for found in ranking)
    return Table(
        key="external",
        title="External data sets",
        columns=(
            Column("task", "data set", "text"),
            PLACE,
            MODEL,
            BACKEND,
            Column("official", "official figure", "percent", about="The figure that the data set is known by"),
            Column("figure", "which", "text", about="Its name in the data set's own metric"),
            Column("accuracy", "items right", "percent", about="Share of right items"),
            Column("invalid", "invalid", "percent", about="Share of answers that could not be read"),
            N_ITEMS,
        ),
        rows=rows,
        notes=(
            "Baseline, in percent [interval]. official figure: that of the data set's own metric. invalid: share of "
            "answers that could not be read; they count as wrong.",
            place_note(tuple(rankings.values()), "the items of the data set, by the share of right ones"),
            *reason_notes(rows),
        ),
        section="task",
    )


def _row(task: str, found: Ranked) -> Row:
    entry = found.model.external[task]
    official = official_figure(entry, task)
    figure: Cell = missing_cell(NO_METRIC) if official is None else text_cell(f"{official.metric} {official.figure}")
    return Row(
        (
            text_cell(task),
            place_cell(found.place),
            text_cell(found.model.label, model_about(found.model)),
            text_cell(backend_words(entry)),
            percent_cell(official.value if official else None, NO_METRIC),
            figure,
            accuracy_cell(found.all),
            invalid_cell(found.all),
            count_cell(found.all.n),
        ),
        found.model.ids,
    )


def official_figure(entry: Entry, task: str, condition: str = BASELINE) -> OfficialFigure | None:
    """The main figure of a data set's own metric."""
    return next((f for f in entry.official if (f.task, f.condition, f.is_main) == (task, condition, True)), None)
