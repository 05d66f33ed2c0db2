"""The baseline board: models by place, by task and cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vsc_eval.board.records import BoardRow, BoardScope, Entry
from vsc_eval.board.tables import ranks
from vsc_eval.board.tables.cells import (
    count_cell,
    methods_note,
    missing_cell,
    percent_cell,
    reason_notes,
    share_cell,
    text_cell,
)
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.models import BoardedModel, backend_words, right_answers
from vsc_eval.board.tables.plain_text import SHORT, plain
from vsc_eval.board.tables.ranks import Answered, Place
from vsc_eval.board.tables.table import MODEL, N_ITEMS, Cell, Column, Row, Table

NOT_ASKED = "not asked"

PLACE = Column("place", "place", "place", about="1 + number of models that were shown to be better")
BACKEND = Column("backend", "run with", "text", about="Backend and dtype")


@dataclass(frozen=True)
class Ranked:
    """A model on some tasks, with its place there."""

    model: BoardedModel
    place: Place
    all: BoardRow
    """Its baseline on all items of these tasks."""


def ranked(models: Sequence[tuple[BoardedModel, Answered, BoardRow]]) -> tuple[Ranked, ...]:
    """Best place first; of equal places, the larger accuracy."""
    found = ranks.places([answered for _, answered, _ in models])
    rows = [Ranked(model, place, row) for (model, _, row), place in zip(models, found, strict=True)]
    return tuple(sorted(rows, key=lambda r: (-r.place.n_compared, r.place.place, *_by_accuracy(r))))


def _by_accuracy(found: Ranked) -> tuple[float, str, tuple[str, ...]]:
    return -(found.all.accuracy.value or 0.0), found.model.label, found.model.ids


def synthetic_ranking(view: BoardView) -> tuple[Ranked, ...]:
    """The models that have the synthetic tasks, by their accuracy on all of those items."""
    models = []
    for model in view.models:
        entry = model.synthetic
        row = view.baseline(entry, "all") if entry else None
        if entry is not None and row is not None:
            ids, clusters, right = right_answers(entry, view.synthetic)
            models.append((model, Answered((entry.scoring, ids), clusters, right), row))
    return ranked(models)


def baseline_tables(view: BoardView, ranking: Sequence[Ranked]) -> tuple[Table, ...]:
    """`ranking`, `tasks` and `cells`; none where no model has synthetic tasks."""
    if not ranking:
        return ()
    return _ranking(view, ranking), _tasks(view, ranking), _cells(view, ranking)


def _ranking(view: BoardView, ranking: Sequence[Ranked]) -> Table:
    rows = tuple(
        Row(
            (
                place_cell(found.place),
                text_cell(found.model.label, model_about(found.model)),
                text_cell(backend_words(found.model.first)),
                accuracy_cell(found.all),
                *(accuracy_cell(view.baseline(_entry(found), "level", level=level)) for level in view.levels),
                invalid_cell(found.all),
                count_cell(found.all.n),
            ),
            found.model.ids,
        )
        for found in ranking
    )
    left = len(view.models) - len(ranking)
    methods = methods_note(found.all for found in ranking)
    notes = [
        f"Baseline accuracy in percent [interval] on the {_items(view, ranking)}. {methods} "
        "invalid: share of answers that name no option, in percent; they count as wrong.",
        place_note((ranking,), "all synthetic items"),
        *([f"{left} more {_models(left)} without these tasks: see the external data sets."] if left else []),
        *differing_notes(found.model for found in ranking),
    ]
    return Table(
        key="ranking",
        title="Models",
        columns=(
            PLACE,
            MODEL,
            BACKEND,
            Column("all", "all", "percent", about="Accuracy on all synthetic items"),
            *(Column(f"level_{level}", level, "percent") for level in view.levels),
            Column("invalid", "invalid", "percent", about="Share of answers that name no option"),
            N_ITEMS,
        ),
        rows=rows,
        notes=(*notes, *reason_notes(rows)),
    )


def _tasks(view: BoardView, ranking: Sequence[Ranked]) -> Table:
    rows = tuple(
        Row(
            (
                place_cell(found.place),
                text_cell(found.model.label, model_about(found.model)),
                *(accuracy_cell(view.baseline(_entry(found), "task", task)) for task in view.synthetic),
            ),
            found.model.ids,
        )
        for found in ranking
    )
    return Table(
        key="tasks",
        title="Accuracy by task",
        columns=(
            PLACE,
            MODEL,
            *(Column(f"task_{t}", t.replace("_", " "), "percent") for t in view.synthetic),
        ),
        rows=rows,
        notes=(
            f"Baseline accuracy in percent [interval]{_sizes(view, ranking, 'task')}. The place is that on all items.",
            *reason_notes(rows),
        ),
    )


def _cells(view: BoardView, ranking: Sequence[Ranked]) -> Table:
    rows = tuple(
        Row(
            (
                text_cell(found.model.label, model_about(found.model)),
                text_cell(task.replace("_", " ")),
                *(accuracy_cell(view.baseline(_entry(found), "cell", task, level)) for level in view.levels),
                accuracy_cell(view.baseline(_entry(found), "task", task)),
            ),
            found.model.ids,
        )
        for found in ranking
        for task in view.synthetic
    )
    n_cells = sum(len(view.board.spec.tasks[task].levels) for task in view.synthetic)
    return Table(
        key="cells",
        title=f"Accuracy in the {n_cells} cells",
        columns=(
            MODEL,
            Column("task", "task", "text"),
            *(Column(f"level_{level}", level, "percent") for level in view.levels),
            Column("all", "all", "percent", about="All levels of the task"),
        ),
        rows=rows,
        notes=(
            f"Baseline accuracy in percent [interval]{_sizes(view, ranking, 'cell')}.",
            *reason_notes(rows),
        ),
        section="model",
    )


def place_cell(place: Place) -> Cell:
    return Cell(place.text, float(place.place), f"{place.place - 1} shown to be better, {place.n_worse} worse")


def accuracy_cell(row: BoardRow | None) -> Cell:
    if row is None:
        return missing_cell(NOT_ASKED)
    return percent_cell(row.accuracy, NOT_ASKED, f"n = {row.n} in {row.n_clusters} clusters")


def invalid_cell(row: BoardRow) -> Cell:
    return share_cell(row.n_invalid / row.n, f"{row.n_invalid} of {row.n}")


def model_about(model: BoardedModel) -> str:
    """What else tells what it is."""
    record = model.first.model
    revision = f", revision {plain(record.revision, SHORT)}" if record.revision else ""
    return f"{model.label}{revision}, fingerprint {record.fingerprint}"


def place_note(rankings: Sequence[Sequence[Ranked]], on: str) -> str:
    """How places were found, and what they do not say."""
    n_pairs = max(len(ranking) * (len(ranking) - 1) // 2 for ranking in rankings)
    words = (
        f"place = 1 + number of models shown to be better on {on}, that is, with the {ranks.METHOD} above 0. Pairs are "
        f"judged one by one, without correction for their number ({n_pairs}). =: shared with another model. Two models "
        "with different places need not be distinguishable."
    )
    if any(found.place.n_compared < len(ranking) for ranking in rankings for found in ranking):
        words += " Models that were asked other items, or read out in another way, are not ranked against each other."
    return words


def differing_notes(models: Iterable[BoardedModel]) -> list[str]:
    """Where entries of one model give different baselines."""
    return [
        f"{plain(model.label, SHORT)}: its {len(model.entries)} entries give different baseline answers to "
        f"{model.n_differing} items; the latest entry is shown."
        for model in models
        if model.n_differing
    ]


def _entry(found: Ranked) -> Entry:
    assert found.model.synthetic is not None
    return found.model.synthetic


def _items(view: BoardView, ranking: Sequence[Ranked]) -> str:
    sizes = sorted({found.all.n for found in ranking})
    n = " or ".join(map(str, sizes))
    tasks, levels = len(view.synthetic), len(view.levels)
    return f"{n} synthetic items of {tasks} {'task' if tasks == 1 else 'tasks'} at {levels} levels"


def _sizes(view: BoardView, ranking: Sequence[Ranked], scope: BoardScope) -> str:
    """`, n = 20 a cell` where that is so of all."""
    sizes = {
        row.n
        for found in ranking
        for task in view.synthetic
        for level in (view.levels if scope == "cell" else (None,))
        if (row := view.baseline(_entry(found), scope, task, level)) is not None
    }
    listed = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    return f", n = {listed} items a {scope}" if sizes else ""


def _models(n: int) -> str:
    return "model is" if n == 1 else "models are"
