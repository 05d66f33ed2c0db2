"""Entries put together by what was evaluated, and their names on the board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from vsc_eval.board.board import Board, Identity, identity
from vsc_eval.board.records import Entry
from vsc_eval.specs import BASELINE
from vsc_eval.tables.clean import SHORT, name

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class BoardedModel:
    """One model of the board, with the entry that each part of its baseline is taken from."""

    label: str
    """Its name as it was given, and more where two models of the board have the same."""
    entries: tuple[Entry, ...]
    synthetic: Entry | None
    """The entry with the synthetic tasks; of several, the last that was computed."""
    external: dict[str, Entry]
    """External task -> the entry with it, chosen in the same way."""
    n_differing: int
    """Items to which two of its entries give different baseline answers."""

    @property
    def first(self) -> Entry:
        """An entry that speaks for what all of them share."""
        return self.synthetic or self.entries[0]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(entry.id for entry in self.entries)


def moment(entry: Entry) -> datetime:
    """When it was computed: as texts, dates of different offsets have no order. Long ago for what is no date, which a
    check finds."""
    try:
        found = datetime.fromisoformat(entry.provenance.date)
    except ValueError:
        return _LONG_AGO
    return found if found.tzinfo else _LONG_AGO


def backend_words(entry: Entry) -> str:
    """`hf float32`."""
    return f"{entry.provenance.backend} {entry.model.dtype}"


def boarded_models(board: Board) -> tuple[BoardedModel, ...]:
    """In the order of their first entries."""
    groups: dict[Identity, list[Entry]] = {}
    for entry in board.entries:
        groups.setdefault(identity(entry), []).append(entry)
    labels = _labels(groups.values())
    return tuple(_model(board, label, entries) for label, entries in zip(labels, groups.values(), strict=True))


def _model(board: Board, label: str, entries: Sequence[Entry]) -> BoardedModel:
    synthetic = set(board.spec.tasks_of("synthetic"))
    # Of the same date, the first id, whichever way the files were read.
    newest = sorted(sorted(entries, key=lambda entry: entry.id), key=moment, reverse=True)
    asked = {entry.id: set(entry.items.task) for entry in entries}
    external: dict[str, Entry] = {}
    for task in board.spec.tasks:
        found = next((entry for entry in newest if task in asked[entry.id]), None)
        if task not in synthetic and found is not None:
            external[task] = found
    return BoardedModel(
        label=label,
        entries=tuple(entries),
        synthetic=next((entry for entry in newest if asked[entry.id] & synthetic), None),
        external=external,
        n_differing=_n_differing(entries),
    )


def _n_differing(entries: Sequence[Entry]) -> int:
    answers: dict[str, str] = {}
    differing: set[str] = set()
    for entry in entries if len(entries) > 1 else ():
        for item, answer in zip(entry.items.id, entry.items.answers[BASELINE], strict=True):
            if answers.setdefault(item, answer) != answer:
                differing.add(item)
    return len(differing)


def _labels(groups: Iterable[Sequence[Entry]]) -> list[str]:
    """The name, and where two models show the same one: backend and dtype, then the revision, then the fingerprint."""
    firsts = [entries[0] for entries in groups]
    return _told_apart(
        firsts,
        lambda entry: entry.model.name,
        (backend_words, lambda entry: (entry.model.revision or "")[:7], lambda entry: entry.model.fingerprint[:8]),
    )


def entry_labels(models: Sequence[BoardedModel]) -> dict[str, str]:
    """Entry id -> what tells it from all other entries with interventions: the model, then the intervention, the id's
    last digits where needed."""
    label_of = {entry.id: model.label for model in models for entry in model.entries}
    entries = [entry for model in models for entry in model.entries if entry.edits]
    labels = _told_apart(
        entries,
        lambda entry: label_of[entry.id],
        (lambda entry: entry.intervention.name if entry.intervention else "", lambda entry: entry.id[-6:]),
    )
    return {entry.id: label for entry, label in zip(entries, labels, strict=True)}


def _told_apart(
    entries: Sequence[Entry], first: Callable[[Entry], str], marks: Sequence[Callable[[Entry], str]]
) -> list[str]:
    """Names [entries]; a mark is put into those that are shown alike.

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


def right_answers(entry: Entry, tasks: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...], npt.NDArray[np.bool_]]:
    """Ids and clusters of these tasks' items, sorted by id, and whether the baseline is right: [items] each."""
    wanted = set(tasks)
    items = entry.items
    rows = sorted((row for row, task in enumerate(items.task) if task in wanted), key=lambda row: items.id[row])
    answers = items.answers[BASELINE]
    return (
        tuple(items.id[row] for row in rows),
        tuple(f"{items.task[row]}\x1f{items.cluster[row]}" for row in rows),
        np.array([answers[row] == items.gold[row] for row in rows], dtype=bool),
    )
