"""The baseline board: models by place, by task and cell by cell, and on external data sets each with its own places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vsc_eval.board.records import BoardRow, BoardScope, Entry, OfficialFigure
from vsc_eval.board.tables import ranks
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.models import BoardedModel, backend_words, right_answers
from vsc_eval.board.tables.ranks import Answered, Place
from vsc_eval.specs import BASELINE
from vsc_eval.tables.clean import SHORT, name
from vsc_eval.tables.table import Cell, Column, Row, Table, cell, methods_note, table

NOT_ASKED = "not asked"
NO_METRIC = "the data set has no metric of its own here"

MODEL = Column("model", "model")
N_ITEMS = Column("n", "n", "count", note="Items")
_PLACE = Column("place", "place", "place", note="1 + number of models that were shown to be better")
_BACKEND = Column("backend", "run with", note="Backend and dtype")


@dataclass(frozen=True)
class Ranked:
    """A model on some tasks, with its place there."""

    model: BoardedModel
    entry: Entry
    """The one that these tasks are taken from."""
    all: BoardRow
    """Its baseline on all items of these tasks."""
    place: Place


def ranked(models: Sequence[tuple[BoardedModel, Entry, BoardRow]], tasks: Sequence[str]) -> tuple[Ranked, ...]:
    """Best place first; of equal places, the larger accuracy."""
    answered = []
    for _, entry, _ in models:
        ids, clusters, right = right_answers(entry, tasks)
        answered.append(Answered((entry.scoring, ids), clusters, right))
    rows = [Ranked(*found, place) for found, place in zip(models, ranks.places(answered), strict=True)]
    return tuple(sorted(rows, key=lambda r: (-r.place.n_compared, r.place.place, *_by_accuracy(r))))


def _by_accuracy(found: Ranked) -> tuple[float, str, tuple[str, ...]]:
    return -(found.all.accuracy.value or 0.0), found.model.label, found.model.ids


def synthetic_ranking(view: BoardView) -> tuple[Ranked, ...]:
    """The models that have the synthetic tasks, by their accuracy on all of those items."""
    models = [
        (model, model.synthetic, row)
        for model in view.models
        if model.synthetic and (row := view.baseline(model.synthetic, "all"))
    ]
    return ranked(models, view.synthetic)


def external_rankings(view: BoardView) -> dict[str, tuple[Ranked, ...]]:
    """Task -> its models by the share of right items; tasks without a model are left out."""
    found = {}
    for task in view.external:
        models = [
            (model, entry, row)
            for model in view.models
            if (entry := model.external.get(task)) and (row := view.baseline(entry, "task", task))
        ]
        if models:
            found[task] = ranked(models, (task,))
    return found


def baseline_tables(
    view: BoardView, ranking: Sequence[Ranked], external: Mapping[str, Sequence[Ranked]]
) -> tuple[Table, ...]:
    """`ranking`, `tasks` and `cells` where a model has synthetic tasks, `external` where one has others."""
    synthetic = (_ranking(view, ranking), _tasks(view, ranking), _cells(view, ranking)) if ranking else ()
    return (*synthetic, _external(external)) if external else synthetic


def _ranking(view: BoardView, ranking: Sequence[Ranked]) -> Table:
    left = len(view.models) - len(ranking)
    return table(
        "ranking",
        "Models",
        (
            _PLACE,
            MODEL,
            _BACKEND,
            Column("all", "all", "percent", note="Accuracy on all synthetic items"),
            *_levels(view),
            Column("invalid", "invalid", "percent", note="Share of answers that name no option"),
            N_ITEMS,
        ),
        [
            _row(
                found,
                _place(found),
                _model(found),
                backend_words(found.model.first),
                accuracy(found.all),
                *(accuracy(view.baseline(found.entry, "level", level=level)) for level in view.levels),
                _invalid(found.all),
                found.all.n,
            )
            for found in ranking
        ],
        [
            f"Baseline accuracy in percent [interval] on the {_items(view, ranking)}. "
            f"{methods_note(found.all.method for found in ranking)} "
            "invalid: share of answers that name no option, in percent; they count as wrong.",
            _place_note((ranking,), "all synthetic items"),
            f"{left} more {_models(left)} without these tasks: see the external data sets." if left else None,
            *_differing_notes(found.model for found in ranking),
        ],
    )


def _tasks(view: BoardView, ranking: Sequence[Ranked]) -> Table:
    return table(
        "tasks",
        "Accuracy by task",
        (_PLACE, MODEL, *(Column(f"task_{t}", t.replace("_", " "), "percent") for t in view.synthetic)),
        [
            _row(
                found,
                _place(found),
                _model(found),
                *(accuracy(view.baseline(found.entry, "task", task)) for task in view.synthetic),
            )
            for found in ranking
        ],
        [f"Baseline accuracy in percent [interval]{_sizes(view, ranking, 'task')}. The place is that on all items."],
    )


def _cells(view: BoardView, ranking: Sequence[Ranked]) -> Table:
    n_cells = sum(len(view.board.spec.tasks[task].levels) for task in view.synthetic)
    return table(
        "cells",
        f"Accuracy in the {n_cells} cells",
        (
            MODEL,
            Column("task", "task"),
            *_levels(view),
            Column("all", "all", "percent", note="All levels of the task"),
        ),
        [
            _row(
                found,
                _model(found),
                task.replace("_", " "),
                *(accuracy(view.baseline(found.entry, "cell", task, level)) for level in view.levels),
                accuracy(view.baseline(found.entry, "task", task)),
            )
            for found in ranking
            for task in view.synthetic
        ],
        [f"Baseline accuracy in percent [interval]{_sizes(view, ranking, 'cell')}."],
        section="model",
    )


def _external(rankings: Mapping[str, Sequence[Ranked]]) -> Table:
    return table(
        "external",
        "External data sets",
        (
            Column("task", "data set"),
            _PLACE,
            MODEL,
            _BACKEND,
            Column("official", "official figure", "percent", note="The figure that the data set is known by"),
            Column("figure", "which", note="Its name in the data set's own metric"),
            Column("accuracy", "items right", "percent", note="Share of right items"),
            Column("invalid", "invalid", "percent", note="Share of answers that could not be read"),
            N_ITEMS,
        ),
        [_external_row(task, found) for task, ranking in rankings.items() for found in ranking],
        [
            "Baseline, in percent [interval]. official figure: that of the data set's own metric. invalid: share of "
            "answers that could not be read; they count as wrong.",
            _place_note(tuple(rankings.values()), "the items of the data set, by the share of right ones"),
        ],
        section="task",
    )


def _external_row(task: str, found: Ranked) -> Row:
    official = official_figure(found.entry, task)
    return _row(
        found,
        task,
        _place(found),
        _model(found),
        backend_words(found.entry),
        cell(official.value if official else None, missing=NO_METRIC),
        cell(f"{official.metric} {official.figure}" if official else None, missing=NO_METRIC),
        accuracy(found.all),
        _invalid(found.all),
        found.all.n,
    )


def official_figure(entry: Entry, task: str, condition: str = BASELINE) -> OfficialFigure | None:
    """The main figure of a data set's own metric."""
    return next((f for f in entry.official if (f.task, f.condition, f.is_main) == (task, condition, True)), None)


def accuracy(row: BoardRow | None) -> Cell:
    if row is None:
        return cell(None, missing=NOT_ASKED)
    return cell(row.accuracy, missing=NOT_ASKED, note=f"n = {row.n} in {row.n_clusters} clusters")


def _row(found: Ranked, *values: Cell | str | float) -> Row:
    return Row.of(values, entries=found.model.ids)


def _levels(view: BoardView) -> Iterable[Column]:
    return (Column(f"level_{level}", level, "percent") for level in view.levels)


def _place(found: Ranked) -> Cell:
    place = found.place
    about = f"{place.place - 1} shown to be better, {place.n_worse} worse"
    return cell(place.place, note=about, suffix="=" if place.is_shared else "")


def _invalid(row: BoardRow) -> Cell:
    return cell(row.n_invalid / row.n, note=f"{row.n_invalid} of {row.n}")


def _model(found: Ranked) -> Cell:
    """Its name, and what else tells what it is."""
    record = found.model.first.model
    revision = f", revision {name(record.revision, SHORT)}" if record.revision else ""
    return cell(found.model.label, note=f"{found.model.label}{revision}, fingerprint {record.fingerprint}")


def _place_note(rankings: Sequence[Sequence[Ranked]], on: str) -> str:
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


def _differing_notes(models: Iterable[BoardedModel]) -> list[str]:
    """Where entries of one model give different baselines."""
    return [
        f"{name(model.label, SHORT)}: its {len(model.entries)} entries give different baseline answers to "
        f"{model.n_differing} items; the latest entry is shown."
        for model in models
        if model.n_differing
    ]


def _items(view: BoardView, ranking: Sequence[Ranked]) -> str:
    n = " or ".join(map(str, sorted({found.all.n for found in ranking})))
    tasks, levels = len(view.synthetic), len(view.levels)
    return f"{n} synthetic items of {tasks} {'task' if tasks == 1 else 'tasks'} at {levels} levels"


def _sizes(view: BoardView, ranking: Sequence[Ranked], scope: BoardScope) -> str:
    """`, n = 20 items a cell` where that is so of all."""
    sizes = {
        row.n
        for found in ranking
        for task in view.synthetic
        for level in (view.levels if scope == "cell" else (None,))
        if (row := view.baseline(found.entry, scope, task, level)) is not None
    }
    listed = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    return f", n = {listed} items a {scope}" if sizes else ""


def _models(n: int) -> str:
    return "model is" if n == 1 else "models are"
