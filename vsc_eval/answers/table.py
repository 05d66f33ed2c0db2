"""The parsed answers of one sweep in one table: what all figures are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE
from vsc_eval.stats import margin

Mask = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]


@dataclass(frozen=True)
class ItemInfo:
    """What is known of an item before any model has seen it."""

    item_id: str
    task: str
    """Benchmark task of the item (`counting`), or the name of the task file for other data."""
    level: str | None
    cluster: str
    """Items of one cluster are dependent: the orbit, or the image for other data."""
    gold: str
    gold_index: int | None
    """Place of the right option among the options; None for a task without options."""
    cluster_kind: str = "orbit"
    """What the cluster is: `orbit`, `image`, `group`, a column's name, or `item` where every item is its own."""
    categories: tuple[tuple[str, str], ...] = ()
    """(column, value) of those that the task file reports by."""
    group: str | None = None
    """Items that are scored together; unique within the task."""
    group_size: int = 0
    """Items of the group when it is whole."""
    score: str | None = None
    """The official metric of the data set."""
    accepted: tuple[str, ...] = ()
    """All right answers, where there may be several."""
    fields: tuple[tuple[str, str], ...] = ()
    """(column, value) of those that the official metric needs."""


@dataclass(frozen=True)
class AnswerTable:
    """`answers` and `readings` of each condition are in the order of `items`; the baseline is among the conditions."""

    items: tuple[ItemInfo, ...]
    answers: Mapping[str, tuple[str, ...]]
    readings: Mapping[str, tuple[Reading, ...]]
    read: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Answers as they were read, where `answers` has the gold in place of any right one; official metrics want them.
    Empty: the same as `answers`."""
    _margins: dict[str, tuple[float | None, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert BASELINE in self.answers
        lengths = {len(rows) for group in (self.answers, self.readings, self.read) for rows in group.values()}
        assert lengths == {len(self.items)}, lengths

    def column(self, field: str) -> Strings:
        """One field of all items [items], None as ""."""
        return np.array([getattr(item, field) or "" for item in self.items], dtype=np.str_)

    @property
    def cluster_name(self) -> str:
        """What the clusters are, for the name of a method."""
        return " or ".join(dict.fromkeys(item.cluster_kind for item in self.items))

    def answers_of(self, condition: str) -> Strings:
        """Parsed answers [items]."""
        return np.array(self.answers[condition], dtype=np.str_)

    def right(self, condition: str) -> Mask:
        """Which answers are right [items]."""
        return np.asarray(self.answers_of(condition) == self.column("gold"), dtype=bool)

    def reading_mean(self, condition: str, field: str, mask: Mask) -> float | None:
        """Mean over the masked items that have the figure; None where none has."""
        values = [getattr(r, field) for r, keep in zip(self.readings[condition], mask, strict=True) if keep]
        return mean([v for v in values if v is not None])

    def margin_change(self, condition: str, mask: Mask) -> float | None:
        """Mean change of the gold letter's margin (its log-probability less the best other's), nats."""
        before, after = self.margins(BASELINE), self.margins(condition)
        pairs = zip(mask, before, after, strict=True)
        return mean([c - b for keep, b, c in pairs if keep and b is not None and c is not None])

    def margins(self, condition: str) -> tuple[float | None, ...]:
        """The gold letter's margin of every item."""
        if condition not in self._margins:
            self._margins[condition] = tuple(
                margin(reading.option_logprobs, item.gold_index)
                for item, reading in zip(self.items, self.readings[condition], strict=True)
            )
        return self._margins[condition]


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return float(np.mean(values)) if values else None
