"""The baseline board: models by rank, by task and cell by cell, and on external data sets each with its own ranks."""

from collections.abc import Iterable, Sequence

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.ranks import METHOD
from vsc_eval.analysis.rows import Row
from vsc_eval.board.records import Entry
from vsc_eval.board.tables.models import BoardView, Ranked, backend_words
from vsc_eval.specs import BASELINE
from vsc_eval.tables.clean import SHORT, name
from vsc_eval.tables.numbers import counted, span
from vsc_eval.tables.table import Cell, Column, Table, TableRow, cell, methods_note, table

NOT_ASKED = "not asked"
_NO_METRIC = "the data set has no metric of its own here"

MODEL = Column("model", "model")
N_ITEMS = Column("n", "n", "count", note="Items")
_RANK = Column("place", "place", "place", note="1 + number of models that were shown to be better")
_BACKEND = Column("backend", "run with", note="Backend and dtype")


def baseline_tables(view: BoardView) -> tuple[Table, ...]:
    """`ranking`, `tasks` and `cells` where a model has synthetic tasks, `external` where one has others."""
    synthetic = (_ranking(view), _tasks(view), _cells(view)) if view.ranking else ()
    return (*synthetic, _external(view)) if view.external_rankings else synthetic


def _ranking(view: BoardView) -> Table:
    ranking, left = view.ranking, len(view.models) - len(view.ranking)
    n_items = " or ".join(map(str, sorted({found.all.n for found in ranking})))
    asked = f"{n_items} synthetic items of {counted(len(view.synthetic), 'task')} at {len(view.levels)} levels"
    return table(
        "ranking",
        "Models",
        (
            _RANK,
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
                _rank(found),
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
            f"Baseline accuracy in percent [interval] on the {asked}. "
            f"{methods_note(found.all.method for found in ranking)} "
            "invalid: share of answers that name no option, in percent; they count as wrong.",
            _rank_note((ranking,), "all synthetic items"),
            f"{counted(left, 'more model is', 'more models are')} without these tasks: see the external data sets."
            if left
            else None,
            *(
                f"{name(model.label, SHORT)}: its {len(model.entries)} entries give different baseline answers to "
                f"{model.n_differing} items; the latest entry is shown."
                for model in (found.model for found in ranking)
                if model.n_differing
            ),
        ],
    )


def _tasks(view: BoardView) -> Table:
    return table(
        "tasks",
        "Accuracy by task",
        (_RANK, MODEL, *(Column(f"task_{t}", t.replace("_", " "), "percent") for t in view.synthetic)),
        [
            _row(
                found,
                _rank(found),
                _model(found),
                *(accuracy(view.baseline(found.entry, "task", task)) for task in view.synthetic),
            )
            for found in view.ranking
        ],
        [f"Baseline accuracy in percent [interval]{_sizes(view, 'task')}. The place is that on all items."],
    )


def _cells(view: BoardView) -> Table:
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
            for found in view.ranking
            for task in view.synthetic
        ],
        [f"Baseline accuracy in percent [interval]{_sizes(view, 'cell')}."],
        section="model",
    )


def _external(view: BoardView) -> Table:
    rankings = view.external_rankings
    return table(
        "external",
        "External data sets",
        (
            Column("task", "data set"),
            _RANK,
            MODEL,
            _BACKEND,
            Column("official", "official figure", "percent", note="The figure that the data set is known by"),
            Column("figure", "which", note="Its name in the data set's own metric"),
            Column("accuracy", "items right", "percent", note="Share of right items"),
            Column("invalid", "invalid", "percent", note="Share of answers that could not be read"),
            N_ITEMS,
        ),
        [
            _row(
                found,
                task,
                _rank(found),
                _model(found),
                backend_words(found.entry),
                *_official(found.entry, task),
                accuracy(found.all),
                _invalid(found.all),
                found.all.n,
            )
            for task, ranking in rankings.items()
            for found in ranking
        ],
        [
            "Baseline, in percent [interval]. official figure: that of the data set's own metric. invalid: share of "
            "answers that could not be read; they count as wrong.",
            _rank_note(tuple(rankings.values()), "the items of the data set, by the share of right ones"),
        ],
        section="task",
    )


def _official(entry: Entry, task: str) -> tuple[Cell, Cell]:
    """The main figure of a data set's own metric, and which it is."""
    figures = (f for f in entry.results.official if (f.task, f.condition, f.is_main) == (task, BASELINE, True))
    found = next(figures, None)
    which = f"{found.metric} {found.figure}" if found else None
    return cell(found.value if found else None, missing=_NO_METRIC), cell(which, missing=_NO_METRIC)


def accuracy(row: Row | None) -> Cell:
    if row is None:
        return cell(None, missing=NOT_ASKED)
    return cell(row.accuracy, missing=NOT_ASKED, note=f"n = {row.n} in {row.n_clusters} clusters")


def _row(found: Ranked, *values: Cell | str | float) -> TableRow:
    return TableRow.of(values, entries=found.model.ids)


def _levels(view: BoardView) -> Iterable[Column]:
    return (Column(f"level_{level}", level, "percent") for level in view.levels)


def _rank(found: Ranked) -> Cell:
    rank = found.rank
    about = f"{rank.rank - 1} shown to be better, {rank.n_worse} worse"
    return cell(rank.rank, note=about, suffix="=" if rank.is_shared else "")


def _invalid(row: Row) -> Cell:
    return cell(row.n_invalid / row.n, note=f"{row.n_invalid} of {row.n}")


def _model(found: Ranked) -> Cell:
    """Its name, and what else tells what it is."""
    first = found.model.first
    revision = f", revision {name(first.revision, SHORT)}" if first.revision else ""
    return cell(found.model.label, note=f"{found.model.label}{revision}, fingerprint {first.fingerprint}")


def _rank_note(rankings: Sequence[Sequence[Ranked]], on: str) -> str:
    """How ranks were found, and what they do not say."""
    n_pairs = max(len(ranking) * (len(ranking) - 1) // 2 for ranking in rankings)
    words = (
        f"place = 1 + number of models shown to be better on {on}, that is, with the {METHOD} above 0. Pairs are "
        f"judged one by one, without correction for their number ({n_pairs}). =: shared with another model. Two models "
        "with different places need not be distinguishable."
    )
    if any(found.rank.n_compared < len(ranking) for ranking in rankings for found in ranking):
        words += " Models that were asked other items, or read out in another way, are not ranked against each other."
    return words


def _sizes(view: BoardView, scope: Scope) -> str:
    """`, n = 20 items a cell` where that is so of all."""
    sizes = {
        row.n
        for found in view.ranking
        for task in view.synthetic
        for level in (view.levels if scope == "cell" else (None,))
        if (row := view.baseline(found.entry, scope, task, level)) is not None
    }
    return f", n = {span(sizes, str)} items a {scope}" if sizes else ""
