"""A board that was read: its entries put together by what was evaluated, the names and ranks of models on it, and sums
over the synthetic tasks alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.ranks import Answered, Rank, rank_models
from vsc_eval.analysis.rows import Row
from vsc_eval.board.records import Entry, moment_of
from vsc_eval.board.spec import BoardSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import bootstrap_many, stream
from vsc_eval.synthetic import TASKS
from vsc_eval.tables.clean import SHORT, name

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


Identity = tuple[str, str | None, str, str]


def identity(entry: Entry) -> Identity:
    """Fingerprint, revision, backend and scoring: entries that share them are of one model and add to each other."""
    return entry.fingerprint, entry.revision, entry.backend, entry.scoring


def name_of_known(entry: Entry, others: Iterable[Entry]) -> str | None:
    """What `others` call the model of the entry, if another name: a model has one row, and so one name."""
    names = (known.name for known in others if identity(known) == identity(entry))
    return next((name for name in names if name != entry.name), None)


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


@dataclass(frozen=True)
class Board:
    """A board that was read: all entries are valid by themselves and in the order of their ids."""

    path: Path
    spec: BoardSpec
    entries: tuple[Entry, ...]

    @cached_property
    def models(self) -> tuple[BoardedModel, ...]:
        """In the order of their first entries."""
        groups: dict[Identity, list[Entry]] = {}
        for entry in self.entries:
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
            self.entries,
            lambda entry: label_of[entry.id],
            (
                lambda entry: entry.about.intervention.name if entry.about.intervention else "",
                lambda entry: entry.id[-6:],
            ),
        )
        return {entry.id: label for entry, label in zip(self.entries, found, strict=True)}

    @cached_property
    def ranking(self) -> tuple[Ranked, ...]:
        """The models that have the synthetic tasks, by their accuracy on all of those items."""
        return self._ranked(self.spec.tasks_of("synthetic"), "all")

    @cached_property
    def external_rankings(self) -> dict[str, tuple[Ranked, ...]]:
        """Task -> its models by the share of right items; tasks without a model are left out."""
        ranked = {task: self._ranked((task,), "task", task) for task in self.spec.tasks_of("external")}
        return {task: found for task, found in ranked.items() if found}

    def _ranked(self, tasks: Sequence[str], scope: Scope, task: str | None = None) -> tuple[Ranked, ...]:
        latest = [(model, model.latest(tasks)) for model in self.models]
        found = [(model, entry, row) for model, entry in latest if entry and (row := self.baseline(entry, scope, task))]
        ranks = rank_models([_answered(entry, tasks) for _, entry, _ in found])
        ranked = [Ranked(*each, rank) for each, rank in zip(found, ranks, strict=True)]
        return tuple(sorted(ranked, key=_order))

    def baseline(self, entry: Entry, scope: Scope, task: str | None = None, level: str | None = None) -> Row | None:
        """The baseline's row of a cell or a task; of a level or of all, over the synthetic tasks alone."""
        tasks, whole = self.spec.tasks_of("synthetic"), entry.row(BASELINE, "all")
        if scope not in ("level", "all") or whole is None or entry.tasks <= set(tasks):
            return entry.row(BASELINE, scope, task, level)
        wanted = [item.task in tasks and level in (None, item.level) for item in entry.table.items]
        part = entry.table.only(np.array(wanted, dtype=np.bool_))
        if not part.items:
            return None
        rng, right = stream(0, "leaderboard", scope, str(level)), part.right([BASELINE])
        (found,) = bootstrap_many(right, part.clusters, rng, n_shares=1, cluster_name=part.cluster_name)
        own = {"n": found.n_items, "n_clusters": found.n_clusters, "accuracy": found}
        own |= {"scope": scope, "level": level, "invalid_rate": float(part.invalid([BASELINE]).mean())}
        return whole.model_copy(update=own)


def _order(found: Ranked) -> tuple[int, int, float, str, tuple[str, ...]]:
    """Best rank first; of equal ranks, the larger accuracy."""
    rank, accuracy = found.rank, found.all.accuracy.value or 0.0
    return -rank.n_compared, rank.rank, -accuracy, found.model.label, found.model.ids


def moment(entry: Entry) -> datetime:
    """When it was computed: as texts, dates of different offsets have no order. Long ago for what is no date, which a
    check finds."""
    return moment_of(entry.about.date) or _LONG_AGO


def backend_words(entry: Entry) -> str:
    """`hf float32`."""
    return f"{entry.backend} {entry.about.dtype}"


def _told_apart(
    entries: Sequence[Entry], first: Callable[[Entry], str], marks: Sequence[Callable[[Entry], str]]
) -> list[str]:
    """Names [entries]; those that are shown alike get one mark after the other, before the end that is cut off."""
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
