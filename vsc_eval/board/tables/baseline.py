"""The baseline board: models by rank, by task and cell by cell, and on external data sets each with its own ranks; and
what the columns of all of a board's tables and CSV are made of."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.ranks import METHOD
from vsc_eval.analysis.rows import Row
from vsc_eval.board.board import Board, Ranked, backend_words
from vsc_eval.board.records import Entry
from vsc_eval.specs import BASELINE
from vsc_eval.tables.clean import SHORT, name
from vsc_eval.tables.numbers import counted, span
from vsc_eval.tables.table import Cell, Column, Data, Table, TableRow, cell, methods_note, table

NOT_ASKED = "not asked"
MODEL = Column("model", "model")
N_ITEMS = Column("n", "n", "count", note="Items")
COUNTS = ("n", "n_clusters", "n_right", "n_invalid")
INTERVAL = ("value", "low", "high")

Record = dict[str, Any]
"""Column -> what a table or a CSV shows there."""

_RANK = Column("rank", "rank", "place", note="1 + number of models that were shown to be better")
_BACKEND = Column("backend", "run with", note="Backend and dtype")
_NO_METRIC = "the data set has no metric of its own here"
_CSV = (
    *("model", "revision", "fingerprint", "backend", "dtype", "scoring", "entry"),
    *("kind", "scope", "task", "level", "metric", "figure", "is_main", "rank", "rank_last"),
    *(*COUNTS, *INTERVAL, "reason", "method"),
)

Group = tuple[Scope, str | None, str | None]
"""Of items: scope, task, level."""
Rows = Sequence[tuple[Ranked, Record]]
"""Of each row the model, and what to show of it by column."""


def copied(source: object, *names: str, start: str = "") -> Record:
    """Fields that are columns of the same name, but for its start; None where there is no source."""
    return {f"{start}{name}": None if source is None else getattr(source, name) for name in names}


def who(entry: Entry, label: str) -> Record:
    """What tells an entry from others, in CSV. `label` is what the board calls it, or its model."""
    own = copied(entry, "revision", "fingerprint", "backend")
    return {"model": label, **own, "dtype": entry.about.dtype, "scoring": entry.scoring, "entry": entry.id}


def flat(records: Sequence[Record], figures: Sequence[str]) -> Data:
    """Records of the same keys, one number a column: the keys of `figures` have one for the value and for each end."""
    rows = [
        [copied(value, *INTERVAL, start=f"{key}_") if key in figures else {key: value} for key, value in record.items()]
        for record in records
    ]
    heads = [column for part in rows[0] for column in part] if rows else []
    return Data(tuple(heads), tuple(tuple(plain for part in row for plain in part.values()) for row in rows))


def baseline_tables(board: Board) -> tuple[Table, ...]:
    """`ranking`, `tasks` and `cells` where a model has synthetic tasks, `external` where one has others."""
    synthetic = _synthetic(board) if board.ranking else ()
    return (*synthetic, _external(board)) if board.external_rankings else synthetic


def _table(
    key: str, title: str, columns: Sequence[Column], rows: Rows, notes: Iterable[str | None], section: str | None = None
) -> Table:
    made = [TableRow.of((record[column.key] for column in columns), entries=found.model.ids) for found, record in rows]
    return table(key, title, columns, made, notes, section=section)


def _synthetic(board: Board) -> tuple[Table, ...]:
    ranking, tasks, left = board.ranking, board.spec.tasks_of("synthetic"), len(board.models) - len(board.ranking)
    levels = [Column(f"level_{level}", level, "percent") for level in board.spec.levels]
    models: list[tuple[Ranked, Record]] = []
    cells: list[tuple[Ranked, Record]] = []
    for found in ranking:
        of_task = {f"task_{task}": _accuracy(board.baseline(found.entry, "task", task)) for task in tasks}
        models.append((found, _ranked_record(found) | _by_level(board, found, "level") | of_task))
        for task in tasks:
            own = {"task": task.replace("_", " "), "all": of_task[f"task_{task}"]}
            cells.append((found, _ranked_record(found) | _by_level(board, found, "cell", task) | own))
    n_items = " or ".join(map(str, sorted({found.all.n for found in ranking})))
    asked = f"{n_items} synthetic items of {counted(len(tasks), 'task')} at {len(board.spec.levels)} levels"
    n_cells = sum(len(board.spec.tasks[task].levels) for task in tasks)
    return (
        _table(
            "ranking",
            "Models",
            (
                _RANK,
                MODEL,
                _BACKEND,
                Column("all", "all", "percent", note="Accuracy on all synthetic items"),
                *levels,
                Column("invalid", "invalid", "percent", note="Share of answers that name no option"),
                N_ITEMS,
            ),
            models,
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
        ),
        _table(
            "tasks",
            "Accuracy by task",
            (_RANK, MODEL, *(Column(f"task_{task}", task.replace("_", " "), "percent") for task in tasks)),
            models,
            [f"Baseline accuracy in percent [interval]{_sizes(board, 'task')}. The rank is that on all items."],
        ),
        _table(
            "cells",
            f"Accuracy in the {n_cells} cells",
            (MODEL, Column("task", "task"), *levels, Column("all", "all", "percent", note="All levels of the task")),
            cells,
            [f"Baseline accuracy in percent [interval]{_sizes(board, 'cell')}."],
            section="model",
        ),
    )


def _external(board: Board) -> Table:
    rankings = board.external_rankings
    return _table(
        "external",
        "External data sets",
        (
            Column("task", "data set"),
            _RANK,
            MODEL,
            _BACKEND,
            Column("official", "official figure", "percent", note="The figure that the data set is known by"),
            Column("figure", "which", note="Its name in the data set's own metric"),
            Column("all", "items right", "percent", note="Share of right items"),
            Column("invalid", "invalid", "percent", note="Share of answers that could not be read"),
            N_ITEMS,
        ),
        [(found, _external_record(found, task)) for task, ranking in rankings.items() for found in ranking],
        [
            "Baseline, in percent [interval]. official figure: that of the data set's own metric. invalid: share of "
            "answers that could not be read; they count as wrong.",
            _rank_note(tuple(rankings.values()), "the items of the data set, by the share of right ones"),
        ],
        section="task",
    )


def _ranked_record(found: Ranked) -> Record:
    """What is shown of a model on whichever tasks it is ranked."""
    first, row, rank = found.model.first, found.all, found.rank
    about = f"{rank.rank - 1} shown to be better, {rank.n_worse} worse"
    revision = f", revision {name(first.revision, SHORT)}" if first.revision else ""
    model = f"{found.model.label}{revision}, fingerprint {first.fingerprint}"
    return {
        "rank": cell(rank.rank, note=about, suffix="=" if rank.is_shared else ""),
        "model": cell(found.model.label, note=model),
        "all": _accuracy(row),
        "invalid": cell(row.n_invalid / row.n, note=f"{row.n_invalid} of {row.n}"),
        "n": row.n,
        "backend": backend_words(first),
    }


def _by_level(board: Board, found: Ranked, scope: Scope, task: str | None = None) -> Record:
    levels = board.spec.levels
    return {f"level_{level}": _accuracy(board.baseline(found.entry, scope, task, level)) for level in levels}


def _external_record(found: Ranked, task: str) -> Record:
    figures = (f for f in found.entry.results.official if (f.task, f.condition, f.is_main) == (task, BASELINE, True))
    main = next(figures, None)
    return _ranked_record(found) | {
        "task": task,
        "backend": backend_words(found.entry),
        "official": cell(main.value if main else None, missing=_NO_METRIC),
        "figure": cell(f"{main.metric} {main.figure}" if main else None, missing=_NO_METRIC),
    }


def _accuracy(row: Row | None) -> Cell:
    if row is None:
        return cell(None, missing=NOT_ASKED)
    return cell(row.accuracy, missing=NOT_ASKED, note=f"n = {row.n} in {row.n_clusters} clusters")


def _rank_note(rankings: Sequence[Sequence[Ranked]], on: str) -> str:
    """How ranks were found, and what they do not say."""
    n_pairs = max(len(ranking) * (len(ranking) - 1) // 2 for ranking in rankings)
    words = (
        f"rank = 1 + number of models shown to be better on {on}, that is, with the {METHOD} above 0. Pairs are "
        f"judged one by one, without correction for their number ({n_pairs}). =: shared with another model. Two models "
        "with different ranks need not be distinguishable."
    )
    if any(found.rank.n_compared < len(ranking) for ranking in rankings for found in ranking):
        words += " Models that were asked other items, or read out in another way, are not ranked against each other."
    return words


def _sizes(board: Board, scope: Scope) -> str:
    """`, n = 20 items a cell` where that is so of all."""
    groups = [group for group in _groups(board) if group[0] == scope]
    rows = [board.baseline(found.entry, *group) for found in board.ranking for group in groups]
    sizes = {row.n for row in rows if row}
    return f", n = {span(sizes, str)} items a {scope}" if sizes else ""


def _groups(board: Board) -> Iterator[Group]:
    """Those of synthetic items."""
    tasks = board.spec.tasks_of("synthetic")
    yield "all", None, None
    yield from (("task", task, None) for task in tasks)
    yield from (("level", None, level) for level in board.spec.levels)
    yield from (("cell", task, level) for task in tasks for level in board.spec.tasks[task].levels)


def baseline_data(board: Board) -> Data:
    """A row for each model and group of items, and for each official figure. Ranks are of whole data sets."""
    records: list[Record] = []
    for found in board.ranking:
        rows = [board.baseline(found.entry, *group) for group in _groups(board)]
        records += [_data_record(board, found, row, "synthetic", row.scope == "all") for row in rows if row]
    for task, models in board.external_rankings.items():
        for found in models:
            records.append(_data_record(board, found, found.all, "external", True))
            records += [
                {
                    **who(found.entry, found.model.label),
                    **copied(figure, "task", "metric", "figure"),
                    **copied(figure.value, *INTERVAL, "reason"),
                    "kind": "external",
                    "scope": "task",
                    "is_main": int(figure.is_main),
                }
                for figure in found.entry.results.official
                if figure.task == task and figure.condition == BASELINE
            ]
    return Data(_CSV, tuple(tuple(record.get(column) for column in _CSV) for record in records))


def _data_record(board: Board, found: Ranked, row: Row, kind: str, is_ranked: bool) -> Record:
    rank = found.rank
    return {
        **who(found.entry, found.model.label),
        **copied(row, "scope", "task", "level", *COUNTS, "method"),
        **copied(row.accuracy, *INTERVAL, "reason"),
        "kind": kind,
        "metric": "accuracy",
        "rank": rank.rank if is_ranked else None,
        "rank_last": rank.n_compared - rank.n_worse if is_ranked else None,
    }
