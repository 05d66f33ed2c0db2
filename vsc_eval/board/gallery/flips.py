"""Flips of an entry: one condition, one item, another answer than the baseline's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vsc_eval.board.records import Entry
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE

FlipKind = Literal["right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid"]
KINDS: tuple[FlipKind, ...] = get_args(FlipKind)
"""The parts of the drift, which exclude each other."""


@dataclass(frozen=True)
class Flip:
    row: int
    """Place of the item in the entry's table of items."""
    item: str
    task: str
    level: str | None
    condition: str
    before: str
    """The baseline's parsed answer."""
    after: str
    gold: str
    kind: FlipKind
    letters: tuple[str, ...]
    """What the probabilities are of; empty where there are none."""
    p_before: tuple[float, ...] | None
    """Probability of each letter at the first answer token, over the whole vocabulary."""
    p_after: tuple[float, ...] | None


def flip_kind(before: str, after: str, gold: str) -> FlipKind:
    """Which part of the drift a changed answer is. A change to or from `invalid` is that and nothing else."""
    assert before != after
    if after == INVALID:
        return "to_invalid"
    if before == INVALID:
        return "from_invalid"
    if before == gold:
        return "right_to_wrong"
    return "wrong_to_right" if after == gold else "wrong_to_other"


def edited_conditions(entry: Entry) -> tuple[str, ...]:
    """The conditions that were answered, without the baseline."""
    return tuple(c.name for c in entry.edits if c.name in entry.items.answers)


def changed_rows(entry: Entry, condition: str) -> tuple[int, ...]:
    """Rows of the items whose answer differs from the baseline's, ascending."""
    answers = zip(entry.items.answers[BASELINE], entry.items.answers[condition], strict=True)
    return tuple(row for row, (before, after) in enumerate(answers) if before != after)


def flip_of(entry: Entry, condition: str, row: int) -> Flip:
    """The flip of a row that the condition changed."""
    items = entry.items
    before, after = items.answers[BASELINE][row], items.answers[condition][row]
    return Flip(
        row=row,
        item=items.id[row],
        task=items.task[row],
        level=items.level[row],
        condition=condition,
        before=before,
        after=after,
        gold=items.gold[row],
        kind=flip_kind(before, after, items.gold[row]),
        letters=items.options[row],
        p_before=_probabilities(entry, BASELINE, row),
        p_after=_probabilities(entry, condition, row),
    )


def flips(entry: Entry) -> tuple[Flip, ...]:
    """All flips, by condition and then in the order of the items."""
    return tuple(
        flip_of(entry, condition, row)
        for condition in edited_conditions(entry)
        for row in changed_rows(entry, condition)
    )


def _probabilities(entry: Entry, condition: str, row: int) -> tuple[float, ...] | None:
    logprobs: Sequence[float | None] | None = entry.logprobs.get(condition, {}).get(entry.items.id[row])
    if logprobs is None or len(logprobs) != len(entry.items.options[row]):
        return None
    return tuple(0.0 if value is None else math.exp(value) for value in logprobs)
