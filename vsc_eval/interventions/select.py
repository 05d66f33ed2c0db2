"""The selection rule: which SAE features are selective for a task, from pooled activations and task labels.

A named score of the task's items against all others, a minimum activation frequency, the top m, ties broken by index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import rankdata

from vsc_eval.errors import DataError, SpecError
from vsc_eval.interventions.activations import PooledActivations, Pooling
from vsc_eval.specs import FeatureSet, Spec

Score = Literal["diff_of_means", "auroc", "frequency_gap"]
Floats = NDArray[np.float64]

# A feature without any spread inside the two groups separates them perfectly; scores must stay finite to be stored.
_LARGEST_DIFF = 1e6
_AUROC_COLUMNS_AT_ONCE = 2048


class SelectionRule(Spec):
    """Everything that decides which features are chosen, stored with the sets."""

    score: Score = "auroc"
    """diff_of_means: difference of the group means over the pooled standard deviation; auroc: probability that an item
    of the task has the larger value, ties half; frequency_gap: difference of the shares of items that fire it."""
    pooling: Pooling = "mean"
    """How an item's tokens become one value (not used by frequency_gap)."""
    m: int = Field(default=16, gt=0)
    """Features per set."""
    min_frequency: float = Field(default=0.05, ge=0, le=1)
    """Share of the task's items on which a feature must fire."""
    exclusive: bool = True
    """Give a feature only to the task where it scores highest. Sets are then disjoint: a union holds 2 m features, and
    its interaction effect is not that of features which both of its parts edit."""


def _diff_of_means(task: Floats, others: Floats) -> Floats:
    gap = task.mean(0) - others.mean(0)
    degrees = len(task) + len(others) - 2
    spread = ((task - task.mean(0)) ** 2).sum(0) + ((others - others.mean(0)) ** 2).sum(0)
    pooled_sd = np.sqrt(spread / degrees)
    floor = np.where(gap == 0, 1.0, np.abs(gap) / _LARGEST_DIFF)
    result: Floats = gap / np.maximum(pooled_sd, floor)
    return result


def _auroc(task: Floats, others: Floats) -> Floats:
    n_task, n_others = len(task), len(others)
    result = np.empty(task.shape[1])
    for start in range(0, task.shape[1], _AUROC_COLUMNS_AT_ONCE):
        columns = slice(start, start + _AUROC_COLUMNS_AT_ONCE)
        ranks = rankdata(np.concatenate([task[:, columns], others[:, columns]]), axis=0)
        rank_sum = ranks[:n_task].sum(0)
        result[columns] = (rank_sum - n_task * (n_task + 1) / 2) / (n_task * n_others)
    return result


def score_features(
    values: Floats, fired: NDArray[np.bool_], in_task: NDArray[np.bool_], score: Score
) -> tuple[Floats, float]:
    """The score of each feature [F], and the score of one that tells nothing about the task.

    values [n, F] pooled activations, fired [n, F], in_task [n]. Both groups need at least two items.
    """
    match score:
        case "diff_of_means":
            return _diff_of_means(values[in_task], values[~in_task]), 0.0
        case "auroc":
            return _auroc(values[in_task], values[~in_task]), 0.5
        case "frequency_gap":
            gap: Floats = fired[in_task].mean(0) - fired[~in_task].mean(0)
            return gap, 0.0
        case _:
            assert_never(score)


def select_features(
    pooled: PooledActivations,
    labels: Sequence[str],
    rule: SelectionRule,
    *,
    provenance: Mapping[str, str | int | float | bool | None] | None = None,
) -> tuple[FeatureSet, ...]:
    """One feature set per distinct label, in order of first appearance; each set is named after its label.

    `labels` holds the task of each row of `pooled`. Features must score better than one that tells nothing. Raises
    SpecError if there are fewer than two tasks or a task has fewer than two items, DataError if a task has fewer than m
    eligible features.
    """
    assert len(labels) == len(pooled.values), (len(labels), pooled.values.shape)
    tasks = list(dict.fromkeys(labels))
    counts = {task: list(labels).count(task) for task in tasks}
    if len(tasks) < 2 or min(counts.values()) < 2:
        raise SpecError(
            f"Selection compares tasks and got {counts}.", mend="Give at least two tasks with at least two items each."
        )
    values = pooled.values.cpu().numpy().astype(np.float64)
    fired = pooled.fired.cpu().numpy()
    label_array = np.array(labels)
    scores = np.empty((len(tasks), values.shape[1]))
    eligible = np.empty_like(scores, dtype=bool)
    for row, task in enumerate(tasks):
        in_task = label_array == task
        scores[row], nothing = score_features(values, fired, in_task, rule.score)
        eligible[row] = (scores[row] > nothing) & (fired[in_task].mean(0) >= rule.min_frequency)
    if rule.exclusive:
        # argmax takes the first of equals: ties between tasks go to the one that comes first.
        best = np.where(eligible, scores, -np.inf).argmax(0)
        eligible &= best == np.arange(len(tasks))[:, None]
    described = {"n_items": len(labels), **{f"rule_{k}": v for k, v in rule.model_dump().items()}, **(provenance or {})}
    return tuple(
        _top(task, scores[row], eligible[row], rule, {"n_task_items": counts[task], **described})
        for row, task in enumerate(tasks)
    )


def _top(
    task: str,
    scores: Floats,
    eligible: NDArray[np.bool_],
    rule: SelectionRule,
    provenance: dict[str, str | int | float | bool | None],
) -> FeatureSet:
    candidates = np.flatnonzero(eligible)
    if len(candidates) < rule.m:
        raise DataError(
            f"Only {len(candidates)} features are eligible for '{task}', and the rule asks for {rule.m}.",
            mend="Lower m or the minimum frequency, or train an SAE with more features.",
        )
    # Stable sort on the negated score: equal scores stay in order of their index.
    chosen = candidates[np.argsort(-scores[candidates], kind="stable")][: rule.m]
    return FeatureSet(
        name=task,
        task=task,
        indices=tuple(int(i) for i in chosen),
        scores=tuple(float(s) for s in scores[chosen]),
        provenance=provenance,
    )
