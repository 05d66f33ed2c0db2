"""Entries put together by what was evaluated, their names and ranks on the board, and sums over the synthetic tasks
alone; and what the columns of tables and CSV are made of."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.ranks import Answered, Rank, rank_models
from vsc_eval.analysis.rows import Row
from vsc_eval.board.board import Board, Identity, identity
from vsc_eval.board.records import Entry
from vsc_eval.specs import BASELINE
from vsc_eval.stats import bootstrap_many, stream
from vsc_eval.synthetic import TASKS
from vsc_eval.tables.clean import SHORT, name
from vsc_eval.tables.table import Column, Data

NOT_ASKED = "not asked"
MODEL = Column("model", "model")
N_ITEMS = Column("n", "n", "count", note="Items")
COUNTS = ("n", "n_clusters", "n_right", "n_invalid")
INTERVAL = ("value", "low", "high")

Record = dict[str, Any]
"""Column -> what a table or a CSV shows there."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def copied(source: object, *names: str, start: str = "") -> Record:
    """Fields that are columns of the same name, but for its start; None where there is no source."""
    return {f"{start}{name}": None if source is None else getattr(source, name) for name in names}


def flat(records: Sequence[Record], figures: Sequence[str]) -> Data:
    """Records of the same keys, one number a column: the keys of `figures` have one for the value and for each end."""
    rows = [
        [copied(value, *INTERVAL, start=f"{key}_") if key in figures else {key: value} for key, value in record.items()]
        for record in records
    ]
    heads = [column for part in rows[0] for column in part] if rows else []
    return Data(tuple(heads), tuple(tuple(plain for part in row for plain in part.values()) for row in rows))


@dataclass(frozen=True)
class BoardedModel:
    """One model of the board."""

    label: str
    """Its name as it was given, and more where two models of the board have the same."""
    entries: tuple[Entry, ...]

    def latest(self, tasks: Iterable[str]) -> Entry | None:
        """The entry that its baseline on these tasks is taken from: of several, the last that was computed."""
        wanted = set(tasks)
        # Of the same date, the first id, whichever way the files were read.
        by_id = sorted((entry for entry in self.entries if entry.tasks & wanted), key=lambda entry: entry.id)
        return max(by_id, key=moment, default=None)

    @property
    def first(self) -> Entry:
        """An entry that speaks for what all of them share."""
        return self.latest(TASKS) or self.entries[0]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(entry.id for entry in self.entries)

    @cached_property
    def n_differing(self) -> int:
        """Items to which two of its entries give different baseline answers."""
        answers: dict[str, set[str]] = {}
        for entry in self.entries if len(self.entries) > 1 else ():
            for item, answer in zip(entry.table.items, entry.table.words(BASELINE), strict=True):
                answers.setdefault(item.item_id, set()).add(answer)
        return sum(len(given) > 1 for given in answers.values())


@dataclass(frozen=True)
class Ranked:
    """A model on some tasks, with its rank there."""

    model: BoardedModel
    entry: Entry
    """The one that these tasks are taken from."""
    all: Row
    """Its baseline on all items of these tasks."""
    rank: Rank


@dataclass(frozen=True, eq=False)
class BoardView:
    """A board with what all its tables ask for."""

    board: Board

    @property
    def synthetic(self) -> tuple[str, ...]:
        return self.board.spec.tasks_of("synthetic")

    @property
    def levels(self) -> tuple[str, ...]:
        return self.board.spec.levels

    @cached_property
    def models(self) -> tuple[BoardedModel, ...]:
        """In the order of their first entries."""
        groups: dict[Identity, list[Entry]] = {}
        for entry in self.board.entries:
            groups.setdefault(identity(entry), []).append(entry)
        labels = _told_apart(
            [entries[0] for entries in groups.values()],
            lambda entry: entry.name,
            (backend_words, lambda entry: (entry.revision or "")[:7], lambda entry: entry.fingerprint[:8]),
        )
        return tuple(BoardedModel(label, tuple(own)) for label, own in zip(labels, groups.values(), strict=True))

    @cached_property
    def edited(self) -> tuple[Entry, ...]:
        """Entries with interventions, those of one model together."""
        return tuple(entry for model in self.models for entry in model.entries if entry.edits)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Entry id -> its model's label, and what tells it from other entries of that model: the intervention, and the
        id's last digits where needed."""
        label_of = {entry.id: model.label for model in self.models for entry in model.entries}
        found = _told_apart(
            self.board.entries,
            lambda entry: label_of[entry.id],
            (
                lambda entry: entry.about.intervention.name if entry.about.intervention else "",
                lambda entry: entry.id[-6:],
            ),
        )
        return {entry.id: label for entry, label in zip(self.board.entries, found, strict=True)}

    @cached_property
    def ranking(self) -> tuple[Ranked, ...]:
        """The models that have the synthetic tasks, by their accuracy on all of those items."""
        return self._ranked(self.synthetic, "all")

    @cached_property
    def external_rankings(self) -> dict[str, tuple[Ranked, ...]]:
        """Task -> its models by the share of right items; tasks without a model are left out."""
        ranked = {task: self._ranked((task,), "task", task) for task in self.board.spec.tasks_of("external")}
        return {task: found for task, found in ranked.items() if found}

    def _ranked(self, tasks: Sequence[str], scope: Scope, task: str | None = None) -> tuple[Ranked, ...]:
        latest = [(model, model.latest(tasks)) for model in self.models]
        found = [(model, entry, row) for model, entry in latest if entry and (row := self.baseline(entry, scope, task))]
        ranks = rank_models([_answered(entry, tasks) for _, entry, _ in found])
        ranked = [Ranked(*each, rank) for each, rank in zip(found, ranks, strict=True)]
        return tuple(sorted(ranked, key=_order))

    def who(self, entry: Entry, label: str | None = None) -> Record:
        """What tells the entry from others, in CSV."""
        own = copied(entry, "revision", "fingerprint", "backend")
        own |= {"dtype": entry.about.dtype, "scoring": entry.scoring, "entry": entry.id}
        return {"model": label or self.labels[entry.id], **own}

    def baseline(self, entry: Entry, scope: Scope, task: str | None = None, level: str | None = None) -> Row | None:
        """The baseline's row of a cell or a task; of a level or of all, over the synthetic tasks alone."""
        if scope in ("level", "all") and not entry.tasks <= set(self.synthetic):
            return baseline_of(entry, self.synthetic, scope, level)
        return entry.row(BASELINE, scope, task, level)


def _order(found: Ranked) -> tuple[int, int, float, str, tuple[str, ...]]:
    """Best rank first; of equal ranks, the larger accuracy."""
    rank, accuracy = found.rank, found.all.accuracy.value or 0.0
    return -rank.n_compared, rank.rank, -accuracy, found.model.label, found.model.ids


def moment(entry: Entry) -> datetime:
    """When it was computed: as texts, dates of different offsets have no order. Long ago for what is no date, which a
    check finds."""
    try:
        found = datetime.fromisoformat(entry.about.date)
    except ValueError:
        return _LONG_AGO
    return found if found.tzinfo else _LONG_AGO


def backend_words(entry: Entry) -> str:
    """`hf float32`."""
    return f"{entry.backend} {entry.about.dtype}"


def _told_apart(
    entries: Sequence[Entry], first: Callable[[Entry], str], marks: Sequence[Callable[[Entry], str]]
) -> list[str]:
    """Names [entries]; of those that are shown alike, one mark after the other is put into them.

    A mark stands before the end that is cut off, so that it is seen of long names too.
    """
    labels = [first(entry) for entry in entries]
    for mark in marks:
        shown = [name(label, SHORT) for label in labels]
        counts = Counter(shown)
        for row, entry in enumerate(entries):
            if counts[shown[row]] > 1 and mark(entry):
                words = f" · {name(mark(entry), SHORT // 3 + 2)}"
                labels[row] = f"{name(labels[row], SHORT - len(words))}{words}"
    return labels


def _answered(entry: Entry, tasks: Iterable[str]) -> Answered:
    """What the baseline got right in the items of these tasks, sorted by id."""
    wanted, items = set(tasks), entry.table.items
    rows = sorted((row for row, item in enumerate(items) if item.task in wanted), key=lambda row: items[row].item_id)
    return Answered(
        asked=(entry.scoring, tuple(items[row].item_id for row in rows)),
        clusters=tuple(f"{items[row].task}\x1f{items[row].cluster}" for row in rows),
        right=entry.table.right([BASELINE])[0, rows],
    )


def baseline_of(entry: Entry, tasks: Sequence[str], scope: Scope, level: str | None = None) -> Row | None:
    """The baseline's row of these tasks alone, of all their items or those of a level; None if there is no item."""
    wanted = [item.task in tasks and (scope == "all" or item.level == level) for item in entry.table.items]
    whole, part = entry.row(BASELINE, "all"), entry.table.only(np.array(wanted, dtype=np.bool_))
    if whole is None or not part.items:
        return None
    rng = stream(0, "leaderboard", scope, str(level))
    right, name = part.right([BASELINE]), part.cluster_name
    (found,) = bootstrap_many(right, part.clusters, rng, n_shares=1, cluster_name=name)
    own = {"n": found.n_items, "n_clusters": found.n_clusters, "accuracy": found}
    own |= {"scope": scope, "level": level, "invalid_rate": float(part.invalid([BASELINE]).mean())}
    return whole.model_copy(update=own)
