"""results.json: one validated row per model x task x level x condition, and the sums over them.

The file holds nothing that changes from one run of the same spec to the next (no times, no machine), so a resumed run
writes the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from vsc_eval.analysis.groups import category_masks, group_tables
from vsc_eval.answers.table import AnswerTable, Mask, Strings
from vsc_eval.extract import INVALID
from vsc_eval.records import Record
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.stats import Drift, Figure, Paired, accuracy, drift, interaction, paired_difference, stream
from vsc_eval.synthetic import LEVELS, TASKS
from vsc_eval.taskfiles.data_report import DataReport

Scope = Literal["cell", "task", "level", "all", "on_target", "off_target", "category", "group"]


class Figure(Record):
    """A value with its interval. None is undefined, and `reason` says why."""

    value: float | None
    low: float | None
    high: float | None
    n_items: int
    n_clusters: int
    method: str
    reason: str | None


class McNemarCells(Record):
    """Exact McNemar against the baseline."""

    both_right: int
    only_baseline_right: int
    only_condition_right: int
    both_wrong: int
    p_value: float | None
    reason: str | None
    method: str


class DriftFigures(Record):
    """Changed answers against the baseline; the five counts add up to `n_changed`."""

    share: Figure
    n_changed: int
    right_to_wrong: int
    wrong_to_right: int
    wrong_to_other: int
    to_invalid: int
    from_invalid: int


class ResultRow(Record):
    """One condition on one group of items."""

    model: str
    scope: Scope
    """`cell`: one task at one level; `task`, `level`, `all`: sums; `on_target`, `off_target`: the tasks that the edited
    sets were selected for, and the others; `category`: the items of a task with one value in a column; `group`: the
    complete groups of a task, each of which is one item that is right if all of its items are."""
    task: str | None
    level: str | None
    condition: str
    n: int = Field(ge=1)
    n_clusters: int = Field(ge=1)
    accuracy: Figure
    invalid_rate: float
    difference: Figure | None
    """acc(condition) - acc(baseline), paired; None for the baseline."""
    mcnemar: McNemarCells | None
    detectable_difference: float | None
    drift: DriftFigures | None
    mean_kl_options: float | None
    mean_kl_vocab: float | None
    mean_margin_change: float | None
    mean_shift_edited: float | None
    mean_shift_last: float | None
    amplification: float | None
    """mean_shift_last / mean_shift_edited."""
    by: str | None = None
    """Column of a `category`."""
    category: str | None = None
    """Its value there."""


class OfficialRow(Record):
    """A figure of a data set's official metric, under one condition."""

    model: str
    task: str
    condition: str
    metric: str
    figure: str
    is_main: bool
    """Whether it is the one that the data set is known by."""
    unit: str
    """What it is a mean of: items, questions, images, groups."""
    value: Figure
    difference: Figure | None
    """Against the baseline, resampled together; None for the baseline."""


class InteractionRow(Record):
    """A union of two sets against its parts, all with the same edit, on all items."""

    model: str
    union: str
    parts: tuple[str, str]
    drift: Figure
    drift_bliss: Figure
    accuracy: Figure


class Results(Record):
    """The whole of results.json."""

    schema_version: Literal[1] = 1
    model: str
    model_fingerprint: str
    intervention: str | None
    scoring: str
    seed: int
    conditions: tuple[ConditionSpec, ...]
    targets: dict[str, tuple[str, ...] | None]
    """Condition -> the tasks that its sets were selected for; None where a set names none."""
    rows: tuple[ResultRow, ...]
    interactions: tuple[InteractionRow, ...]
    official: tuple[OfficialRow, ...] = ()
    data: tuple[DataReport, ...] = ()
    """What became of the rows of external data sets."""

    def find(self, condition: str, scope: Scope, task: str | None = None, level: str | None = None) -> ResultRow | None:
        """The row of that condition and group (no category), None if there is none."""
        for row in self.rows:
            if (row.condition, row.scope, row.task, row.level) == (condition, scope, task, level):
                return row
        return None


Targets = Mapping[str, tuple[str, ...] | None]


def result_rows(table: AnswerTable, model: str, targets: Targets, seed: int) -> tuple[ResultRow, ...]:
    """All rows. `targets` also gives the order of the conditions, the baseline among them."""
    rows = []
    for condition, tasks in targets.items():
        groups = item_groups(table.column("task"), table.column("level"))
        for scope, task, level, mask in [*groups, *_target_groups(table, tasks)]:
            rows.append(_row(table, model, condition, scope, task, level, mask, seed))
        for task, by, category, mask in category_masks(table):
            row = _row(table, model, condition, "category", task, None, mask, seed, (by, category))
            rows.append(row.model_copy(update={"by": by, "category": category}))
        for task, grouped in group_tables(table).items():
            everything = np.ones(len(grouped.items), dtype=bool)
            rows.append(_row(grouped, model, condition, "group", task, None, everything, seed))
    return tuple(rows)


Group = tuple[Scope, str | None, str | None, Mask]


def item_groups(tasks: Strings, levels: Strings) -> Iterator[Group]:
    """Every cell, task and level, then all. `tasks` and `levels` [items], "" where an item has no level."""
    task_names, level_names = _in_order(tasks.tolist(), TASKS), _in_order(levels.tolist(), LEVELS)
    for task in task_names:
        for level in level_names:
            mask = (tasks == task) & (levels == level)
            if mask.any():
                yield "cell", task, level or None, mask
    for task in task_names:
        yield "task", task, None, tasks == task
    for level in filter(None, level_names):
        yield "level", None, level, levels == level
    yield "all", None, None, np.ones(len(tasks), dtype=bool)


def _in_order(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Each name once: those of the benchmark in its order, then the others as they come (lm-eval sorts by letter)."""
    found = dict.fromkeys(names)
    return [name for name in known if name in found] + [name for name in found if name not in known]


def _target_groups(table: AnswerTable, targets: tuple[str, ...] | None) -> Iterator[Group]:
    if not targets:
        return
    on = np.isin(table.column("task"), targets)
    if on.any():
        yield "on_target", None, None, on
    if not on.all():
        yield "off_target", None, None, ~on


def _row(
    table: AnswerTable,
    model: str,
    condition: str,
    scope: Scope,
    task: str | None,
    level: str | None,
    mask: Mask,
    seed: int,
    category: tuple[str, ...] = (),
) -> ResultRow:
    # The stream is named by the group and not by the condition: all conditions are resampled alike.
    rng = stream(seed, "bootstrap", scope, task or "", level or "", *category)
    clusters = table.column("cluster")[mask]
    base, cond, gold = (
        a[mask] for a in (table.answers_of(BASELINE), table.answers_of(condition), table.column("gold"))
    )
    kind = table.cluster_name
    right = accuracy(cond == gold, clusters, rng, cluster_name=kind)
    paired, changed = None, None
    if condition != BASELINE:
        paired = paired_difference(base == gold, cond == gold, clusters, rng, cluster_name=kind)
        changed = drift(base, cond, gold, clusters, rng, cluster_name=kind)
    edited = table.reading_mean(condition, "shift_edited", mask)
    last = table.reading_mean(condition, "shift_last", mask)
    return ResultRow(
        model=model,
        scope=scope,
        task=task,
        level=level,
        condition=condition,
        n=len(gold),
        n_clusters=right.n_clusters,
        accuracy=figure_of(right),
        invalid_rate=float(np.mean(cond == INVALID)),
        difference=figure_of(paired.difference) if paired else None,
        mcnemar=_mcnemar(paired) if paired else None,
        detectable_difference=paired.detectable if paired else None,
        drift=_drift(changed) if changed else None,
        mean_kl_options=table.reading_mean(condition, "kl_options", mask),
        mean_kl_vocab=table.reading_mean(condition, "kl_vocab", mask),
        mean_margin_change=None if condition == BASELINE else table.margin_change(condition, mask),
        mean_shift_edited=edited,
        mean_shift_last=last,
        amplification=last / edited if edited and last is not None else None,
    )


def interaction_rows(
    table: AnswerTable, model: str, conditions: Sequence[ConditionSpec], seed: int
) -> tuple[InteractionRow, ...]:
    """One row for each union of two sets whose two parts were run with the same edit, norm matching aside: what a union
    still does beyond its parts at their size is no matter of size."""
    singles = {(spec.sets[0], spec.edit): spec.name for spec in conditions if len(spec.sets) == 1}
    rows = []
    for union in conditions:
        if len(union.sets) != 2 or union.edit is None:
            continue
        edit = union.edit.model_copy(update={"norm_match": None})
        parts = [singles.get((name, edit)) for name in union.sets]
        if parts[0] is None or parts[1] is None:
            continue
        rows.append(_interaction(table, model, union.name, (parts[0], parts[1]), seed))
    return tuple(rows)


def _interaction(table: AnswerTable, model: str, union: str, parts: tuple[str, str], seed: int) -> InteractionRow:
    names = (*parts, union)
    base, base_right = table.answers_of(BASELINE), table.right(BASELINE).astype(np.float64)
    changed = np.stack([table.answers_of(name) != base for name in names])
    gain = np.stack([table.right(name) - base_right for name in names])
    found = interaction(
        changed, gain, table.column("cluster"), stream(seed, "interaction"), cluster_name=table.cluster_name
    )
    return InteractionRow(
        model=model,
        union=union,
        parts=parts,
        drift=figure_of(found.drift),
        drift_bliss=figure_of(found.drift_bliss),
        accuracy=figure_of(found.accuracy),
    )


def figure_of(estimate: Figure) -> Figure:
    """An estimate as a record."""
    return Figure(**dataclasses.asdict(estimate))


def _mcnemar(paired: Paired) -> McNemarCells:
    return McNemarCells(**dataclasses.asdict(paired.test))


def _drift(found: Drift) -> DriftFigures:
    return DriftFigures.model_validate(dataclasses.asdict(found))
