"""Rows of entries, found quickly, and sums over the synthetic tasks of entries that have other tasks as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.rows import Row
from vsc_eval.board.board import Board
from vsc_eval.board.records import Entry
from vsc_eval.board.tables.models import BoardedModel, boarded_models, entry_labels
from vsc_eval.specs import BASELINE
from vsc_eval.stats import bootstrap_many, stream

_Key = tuple[str, Scope, str | None, str | None]


@dataclass(frozen=True)
class BoardView:
    """A board with what all its tables ask for."""

    board: Board
    models: tuple[BoardedModel, ...]
    labels: dict[str, str]
    """Of entries with interventions, by id."""
    _rows: dict[str, dict[_Key, Row]] = field(repr=False)

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
        self, entry: Entry, condition: str, scope: Scope, task: str | None = None, level: str | None = None
    ) -> Row | None:
        return self._rows[entry.id].get((condition, scope, task, level))

    def baseline(self, entry: Entry, scope: Scope, task: str | None = None, level: str | None = None) -> Row | None:
        """The baseline's row of a cell or a task; of a level or of all, over the synthetic tasks alone."""
        if scope in ("level", "all") and not entry.tasks <= set(self.synthetic):
            return baseline_of(entry, self.synthetic, scope, level)
        return self.row(entry, BASELINE, scope, task, level)

    def edited(self) -> Iterator[Entry]:
        """Entries with interventions, those of one model together."""
        for model in self.models:
            yield from (entry for entry in model.entries if entry.edits)


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
