"""The selection rule: which SAE features are selective for a task, from pooled activations and task labels.

A named score of the task's items against all others, a minimum activation frequency, the top m, ties broken by index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from vsc_eval.errors import DataError, SpecError
from vsc_eval.interventions.scores import SCORES, Floats, Mask
from vsc_eval.specs import FeatureSet, Spec

if TYPE_CHECKING:  # torch: a command's options must not load it
    from vsc_eval.interventions.harvest import PooledActivations

Pooling = Literal["mean", "max", "fired"]
Scalar = str | int | float | bool | None

_COLUMNS_AT_ONCE = 128


class SelectionRule(Spec):
    """Everything that decides which features are chosen, stored with the sets."""

    score: Annotated[str, AfterValidator(SCORES.valid)] = "auroc"
    """What a feature is ranked by: one of SCORES, or another package's."""
    pooling: Pooling = "mean"
    """How an item's tokens become one value (not used by frequency_gap)."""
    m: int = Field(default=16, gt=0)
    """Features per set."""
    min_frequency: float = Field(default=0.05, ge=0, le=1)
    """Share of the task's items on which a feature must fire."""
    exclusive: bool = True
    """Give a feature only to the task where it scores highest. Sets are then disjoint: a union holds 2 m features, and
    its interaction effect is not that of features which both of its parts edit."""


class TooFewFeaturesError(DataError):
    """A task has fewer eligible features than the rule asks for."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Every feature's score for every task, and where the rule would take it."""

    tasks: tuple[str, ...]
    n_task_items: tuple[int, ...]
    scores: Floats
    """[T, F]"""
    eligible: Mask
    """[T, F], before `exclusive` gives a feature to one task."""

    def chosen(self, rule: SelectionRule) -> tuple[NDArray[np.int64], ...]:
        """Feature indices of each task, best first: m of them, or all if fewer are eligible."""
        eligible = self.eligible
        if rule.exclusive:
            # argmax takes the first of equals: ties between tasks go to the one that comes first.
            best = np.where(eligible, self.scores, -np.inf).argmax(0)
            eligible = eligible & (best == np.arange(len(self.tasks))[:, None])
        # Stable sort of negated scores: equal ones stay in order of their index.
        order = np.argsort(np.where(eligible, -self.scores, np.inf), axis=1, kind="stable")
        return tuple(row[: min(rule.m, mask.sum())] for row, mask in zip(order, eligible, strict=True))


def score_table(
    pooled: PooledActivations, labels: Sequence[str], rule: SelectionRule, *, tasks: Sequence[str] | None = None
) -> ScoreTable:
    """Score every feature for every distinct label, in the order of `tasks`, or of first appearance. `labels` holds the
    task of each row of `pooled`. Raises SpecError for fewer than two tasks, or than two items of a task."""
    assert len(labels) == len(pooled.values), (len(labels), pooled.values.shape)
    tasks = list(dict.fromkeys(labels)) if tasks is None else list(tasks)
    counts = {task: list(labels).count(task) for task in tasks}
    if len(tasks) < 2 or min(counts.values()) < 2:
        raise SpecError(
            f"Selection compares tasks and got {counts}.", hint="Give at least two tasks with at least two items each."
        )
    return score_tables(pooled, labels, tasks, rule, np.ones((1, len(labels)), dtype=np.int64))[0]


def score_tables(
    pooled: PooledActivations,
    labels: Sequence[str],
    tasks: Sequence[str],
    rule: SelectionRule,
    weights: NDArray[np.int64],
    progress: Callable[[int], None] = lambda n: None,
) -> list[ScoreTable]:
    """The score table of each sample in `weights` [R, n], as if each item stood there that many times. `progress` is
    told the number of features just scored."""
    score = SCORES.get(rule.score)
    in_task: Mask = np.array(labels)[None, :] == np.array(tasks)[:, None]
    groups = (weights[:, None, :] * in_task).astype(np.float64)  # [R, T, n]
    sizes = groups.sum(2)
    n_features = pooled.values.shape[1]
    scores = np.empty((*sizes.shape, n_features))
    often = np.empty(scores.shape, dtype=bool)
    for start in range(0, n_features, _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        values = pooled.values[:, columns].cpu().numpy().astype(np.float64)
        fired = pooled.fired[:, columns].cpu().numpy()
        often[:, :, columns] = groups @ fired.astype(np.float64) / sizes[:, :, None] >= rule.min_frequency
        if score.resampled is not None:
            scores[:, :, columns] = score.resampled(values, groups)
        else:
            for sample, times in enumerate(weights):
                rows = np.repeat(np.arange(len(times)), times)
                scores[sample, :, columns] = score.scores(values[rows], fired[rows], in_task[:, rows])
        progress(values.shape[1])
    eligible = (scores > score.of_nothing) & often
    counts = map(tuple, sizes.astype(int).tolist())
    return [ScoreTable(tuple(tasks), *parts) for parts in zip(counts, scores, eligible, strict=True)]


def choose_features(
    table: ScoreTable, rule: SelectionRule, *, provenance: Mapping[str, Scalar] | None = None
) -> tuple[FeatureSet, ...]:
    """One feature set per task of the table, named after it. Raises TooFewFeaturesError naming the task."""
    described: dict[str, Scalar] = {
        "n_items": sum(table.n_task_items),
        **{f"rule_{k}": v for k, v in rule.model_dump().items()},
        **(provenance or {}),
    }
    sets = []
    for row, (task, chosen) in enumerate(zip(table.tasks, table.chosen(rule), strict=True)):
        if len(chosen) < rule.m:
            raise TooFewFeaturesError(
                f"Only {len(chosen)} features are eligible for '{task}', and the rule asks for {rule.m}.",
                hint="Lower m or the minimum frequency, or train an SAE with more features.",
            )
        indices, scores = tuple(chosen.tolist()), tuple(table.scores[row, chosen].tolist())
        provenance = {"n_task_items": table.n_task_items[row], **described}
        sets.append(FeatureSet(name=task, task=task, indices=indices, scores=scores, provenance=provenance))
    return tuple(sets)
