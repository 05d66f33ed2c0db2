"""Counts of an entry from its answers alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vsc_eval.board.records import BoardScope, DriftCounts, Entry
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE
from vsc_eval.stats.drift import PARTS, change_parts

Mask = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Counts:
    n: int
    n_clusters: int
    n_right: int
    n_invalid: int
    lost: int
    """Right under the baseline only."""
    won: int
    drift: DriftCounts


class Recount:
    """An entry's answers as arrays [items]."""

    def __init__(self, entry: Entry) -> None:
        items = entry.items
        self.entry = entry
        self.gold = _strings(items.gold)
        self.tasks = _strings(items.task)
        self.levels = _strings(tuple(level or "" for level in items.level))
        self.clusters = np.unique(_strings(items.cluster), return_inverse=True)[1]
        self.answers = {name: _strings(column) for name, column in items.answers.items()}
        self.conditions = {condition.name: condition for condition in entry.conditions}
        self._masks: dict[tuple[str, ...], Mask | None] = {}

    def mask(
        self, scope: BoardScope, task: str | None, level: str | None, targets: tuple[str, ...] | None
    ) -> Mask | None:
        """The items of a group; None where an entry does not say which they are (`category`, `group`), or where the
        scope's names are not those that it has."""
        key = (scope, task or "", level or "", *(targets or ()))
        if key not in self._masks:
            self._masks[key] = self._mask(scope, task, level, targets)
        return self._masks[key]

    def _mask(
        self, scope: BoardScope, task: str | None, level: str | None, targets: tuple[str, ...] | None
    ) -> Mask | None:
        on: Mask = np.isin(self.tasks, targets or ())
        found: Mask | None = None
        match scope, task, level:
            case "cell", str(), _:
                found = (self.tasks == task) & (self.levels == (level or ""))
            case "task", str(), None:
                found = self.tasks == task
            case "level", None, str():
                found = self.levels == level
            case "all", None, None:
                found = self.all
            case "on_target", None, None if targets:
                found = on
            case "off_target", None, None if targets:
                found = ~on
        return found

    def answered(self, condition: str, mask: Mask) -> tuple[Strings, Strings, Strings]:
        """Of the masked items the baseline's answers, the condition's, and the right ones."""
        return self.answers[BASELINE][mask], self.answers[condition][mask], self.gold[mask]

    def counts(self, condition: str, mask: Mask) -> Counts:
        """Of the masked items."""
        base, found, gold = self.answered(condition, mask)
        was, is_ = base == gold, found == gold
        parts = {name: int(part.sum()) for name, part in change_parts(base, found, gold, INVALID).items()}
        return Counts(
            n=len(gold),
            n_clusters=len(np.unique(self.clusters[mask])),
            n_right=int(is_.sum()),
            n_invalid=int((found == INVALID).sum()),
            lost=int((was & ~is_).sum()),
            won=int((~was & is_).sum()),
            drift=DriftCounts(n_changed=sum(parts.values()), **{name: parts[name] for name in PARTS}),
        )

    @cached_property
    def cluster_kind(self) -> str:
        """What a cluster is, as the methods of intervals name it."""
        return " or ".join(dict.fromkeys(self.entry.items.cluster_kind))

    @cached_property
    def cluster_names(self) -> npt.NDArray[np.str_]:
        """Clusters [items] as strings of one length, in the order of their real names."""
        return np.array([f"{code:09d}" for code in self.clusters], dtype=np.str_)

    @cached_property
    def all(self) -> Mask:
        return np.ones(len(self.gold), dtype=bool)

    def share_changed(self, condition: str, mask: Mask | None = None) -> float:
        """D(condition)."""
        base, found, _ = self.answered(condition, self.all if mask is None else mask)
        return float((found != base).mean())

    def gain(self, condition: str, mask: Mask | None = None) -> float:
        """d(condition): accuracy less the baseline's."""
        base, found, gold = self.answered(condition, self.all if mask is None else mask)
        return float((found == gold).mean() - (base == gold).mean())


def _strings(values: tuple[str, ...]) -> Strings:
    """As objects: numpy's own strings end at their last NUL character, and pad all to the longest."""
    return np.array(values, dtype=object)
