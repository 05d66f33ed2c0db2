"""Rows of entries, found quickly, and sums over the synthetic tasks of entries that have other tasks as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vsc_eval.board.board import Board
from vsc_eval.board.records import BoardRow, BoardScope, Entry
from vsc_eval.board.tables.models import BoardedModel, boarded_models, entry_labels
from vsc_eval.specs import BASELINE
from vsc_eval.stats import accuracy, stream

_Key = tuple[str, BoardScope, str | None, str | None]


@dataclass(frozen=True)
class BoardView:
    """A board with what all its tables ask for."""

    board: Board
    models: tuple[BoardedModel, ...]
    labels: dict[str, str]
    """Of entries with interventions, by id."""
    _rows: dict[str, dict[_Key, BoardRow]] = field(repr=False)

    @classmethod
    def of(cls, board: Board) -> BoardView:
        models = boarded_models(board)
        rows = {
            entry.id: {(r.condition, r.scope, r.task, r.level): r for r in entry.rows if r.by is None}
            for entry in board.entries
        }
        return cls(board, models, entry_labels(models), rows)

    @property
    def synthetic(self) -> tuple[str, ...]:
        return self.board.spec.tasks_of("synthetic")

    @property
    def external(self) -> tuple[str, ...]:
        return self.board.spec.tasks_of("external")

    @property
    def levels(self) -> tuple[str, ...]:
        """Of the synthetic tasks, in the order of board.yaml."""
        return tuple(dict.fromkeys(level for name in self.synthetic for level in self.board.spec.tasks[name].levels))

    def row(
        self, entry: Entry, condition: str, scope: BoardScope, task: str | None = None, level: str | None = None
    ) -> BoardRow | None:
        return self._rows[entry.id].get((condition, scope, task, level))

    def baseline(
        self, entry: Entry, scope: BoardScope, task: str | None = None, level: str | None = None
    ) -> BoardRow | None:
        """The baseline's row of a cell or a task; of a level or of all, over the synthetic tasks alone."""
        if scope in ("level", "all") and any(name not in self.synthetic for name in set(entry.items.task)):
            return baseline_of(entry, self.synthetic, scope, level)
        return self.row(entry, BASELINE, scope, task, level)

    def edited(self) -> Iterator[Entry]:
        """Entries with interventions, those of one model together."""
        for model in self.models:
            yield from (entry for entry in model.entries if entry.edits)


def baseline_of(entry: Entry, tasks: Sequence[str], scope: BoardScope, level: str | None = None) -> BoardRow | None:
    """The baseline's row of these tasks alone, of all their items or those of a level; None if there is no item."""
    wanted = [item.task in tasks and (scope == "all" or item.level == level) for item in entry.table.items]
    whole, part = entry.row(BASELINE, "all"), entry.table.only(np.array(wanted, dtype=np.bool_))
    if whole is None or not part.items:
        return None
    rng = stream(0, "leaderboard", scope, str(level))
    found = accuracy(part.right([BASELINE])[0], part.clusters, rng, cluster_name=part.cluster_name)
    own = {"n": found.n_items, "n_clusters": found.n_clusters, "accuracy": found}
    own |= {"scope": scope, "level": level, "invalid_rate": float(part.invalid([BASELINE]).mean())}
    return whole.model_copy(update=own)
