"""Which flips a page holds, where a board has more than a page should."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from vsc_eval.analysis.flips import Flip, flips
from vsc_eval.board.records import BoardCondition, Entry

T = TypeVar("T")


@dataclass(frozen=True)
class Chosen:
    """The flips of an entry that are shown."""

    entry: Entry
    conditions: tuple[BoardCondition, ...]
    """The edits, headline ones first."""
    n_flips: tuple[int, ...]
    """[conditions]: how many there are."""
    flips: tuple[tuple[Flip, ...], ...]
    """[conditions]: those that are shown, in the order of the items."""

    def all_flips(self) -> Iterator[Flip]:
        for of_one in self.flips:
            yield from of_one

    @cached_property
    def places(self) -> dict[str, int]:
        """Item -> its place in the entry's table."""
        return {item.item_id: place for place, item in enumerate(self.entry.table.items)}

    def probabilities(self, condition: str, item_id: str) -> tuple[float, ...] | None:
        """Of each of the item's options at the first answer token, over the whole vocabulary; None where there are
        none."""
        table, place = self.entry.table, self.places[item_id]
        values = table.main.option_logprobs[table.main.rows[condition], place, : len(table.items[place].options)]
        return None if not len(values) or np.isnan(values).any() else tuple(np.exp(values.astype(float)).tolist())


def choose(entry: Entry, allowance: int) -> Chosen:
    """At most `allowance` flips of an entry: headline conditions first, the same share for each that has as many."""
    conditions = sorted(entry.edits, key=lambda c: not c.is_headline)
    changed = [flips(entry.table, condition.name) for condition in conditions]
    n_headline = sum(condition.is_headline for condition in conditions)
    counts = shares([len(own) for own in changed[:n_headline]], allowance)
    counts += shares([len(own) for own in changed[n_headline:]], allowance - sum(counts))
    return Chosen(
        entry=entry,
        conditions=tuple(conditions),
        n_flips=tuple(map(len, changed)),
        flips=tuple(evenly(own, count) for own, count in zip(changed, counts, strict=True)),
    )


def shares(sizes: Sequence[int], allowance: int) -> list[int]:
    """How much each gets of an allowance: all it has, or else as much as any other gets."""
    found = [0] * len(sizes)
    left = allowance
    for done, place in enumerate(sorted(range(len(sizes)), key=lambda place: sizes[place])):
        found[place] = min(sizes[place], left // (len(sizes) - done))
        left -= found[place]
    return found


def evenly(values: Sequence[T], n: int) -> tuple[T, ...]:
    """`n` of the values at equal steps, in their order; all of them if there are no more."""
    assert 0 <= n <= len(values)
    return tuple(values[place * len(values) // n] for place in range(n))
