"""Every condition of the sweep against the baseline, on all items and on groups of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.results import DriftFigures, McNemarCells, item_groups
from vsc_eval.specs import BASELINE
from vsc_eval.stats import (
    Figure,
    adjust,
    amplification,
    bootstrap_many,
    cluster_standard_errors,
    detectable_difference,
    drift_above_noise_floor,
    noise_floor,
    sign_flip,
    stream,
)
from vsc_eval.stats.drift import PARTS, change_parts
from vsc_eval.stats.mcnemar import mcnemar_of_cells
from vsc_eval.studies.analysis import figure
from vsc_eval.studies.analysis_floor import changed_without_cause
from vsc_eval.studies.arrays import INVALID_CODE, AnswerArrays, Codes, Floats, ReadingArrays
from vsc_eval.studies.records import ConditionRow, RowScope
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.swept import SweptCondition, swept_conditions

Mask = npt.NDArray[np.bool_]


def condition_rows(
    table: AnswerArrays,
    readings: Mapping[str, ReadingArrays],
    spec: StudySpec,
    *,
    null_answers: Mapping[str, Codes] | None = None,
) -> tuple[ConditionRow, ...]:
    """Rows of each of `swept_conditions`: all items, tasks, levels, on and off target. Cells, which are too small for a
    comparison, have rows of the baseline only.

    `readings` has all of the conditions. `null_answers` [items] each are those of conditions that did nothing: the
    noise floor of a group is their largest drift there.
    """
    swept = swept_conditions(spec)
    per_item = _per_item(table, readings, swept, null_answers or {})
    rows = [row for group, members in _groups(table, swept) for row in _rows(group, members, per_item, table, spec)]
    order = {condition.name: place for place, condition in enumerate(swept)}
    # Stable: within a condition the groups stay in their order.
    return tuple(sorted(rows, key=lambda row: order[row.condition]))


@dataclass(frozen=True, eq=False)
class _Group:
    scope: RowScope
    task: str | None
    level: str | None
    mask: Mask
    stream: tuple[str, ...]
    """Names of its random streams, which all of its conditions share."""


def _groups(
    table: AnswerArrays, swept: Sequence[SweptCondition]
) -> Iterator[tuple[_Group, tuple[SweptCondition, ...]]]:
    """Each group with the conditions that have a row there."""
    every, baseline = tuple(swept), tuple(c for c in swept if c.role == "baseline")
    groups = [
        _Group(cast(RowScope, scope), task, level, mask, (scope, task or "", level or ""))
        for scope, task, level, mask in item_groups(table.tasks, table.levels)
    ]
    # All items first: that is the row that a reader looks for.
    for group in sorted(groups, key=lambda group: group.scope != "all"):
        yield group, baseline if group.scope == "cell" else every
    targets: tuple[RowScope, RowScope] = ("on_target", "off_target")
    for sets in dict.fromkeys(c.sets for c in swept if c.sets):
        members, on = tuple(c for c in swept if c.sets == sets), np.isin(table.tasks, sets)
        for scope, mask in zip(targets, (on, ~on), strict=True):
            if mask.any():
                yield _Group(scope, None, None, mask, (scope, *sets)), members


T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class _PerItem:
    """What groups sum up: [conditions, items] each, but `null_changed` [null conditions, items]."""

    place: Mapping[str, int]
    """Row of each condition."""
    changed: Floats
    gain: Floats
    right: Mask
    invalid: Mask
    counted: Mapping[str, Mask]
    """The parts of drift, and the cells of McNemar's test."""
    readings: Mapping[str, Floats]
    """The fields of ReadingArrays; `margin` is its change against the baseline."""
    null_changed: Floats


def _per_item(
    table: AnswerArrays,
    readings: Mapping[str, ReadingArrays],
    swept: Sequence[SweptCondition],
    null_answers: Mapping[str, Codes],
) -> _PerItem:
    conditions = [condition.name for condition in swept]
    codes, base = np.array([table.answers[name] for name in conditions]), table.answers[BASELINE]
    right, base_right = codes == table.gold, base == table.gold
    cells = {
        "both_right": right & base_right,
        "only_baseline_right": ~right & base_right,
        "only_condition_right": right & ~base_right,
        "both_wrong": ~right & ~base_right,
    }
    stacked = {f.name: np.array([getattr(readings[n], f.name) for n in conditions]) for f in fields(ReadingArrays)}
    stacked["margin"] = stacked["margin"] - readings[BASELINE].margin
    return _PerItem(
        place={name: row for row, name in enumerate(conditions)},
        changed=table.changed(conditions),
        gain=table.gain(conditions),
        right=right,
        invalid=codes == INVALID_CODE,
        counted={**change_parts(base, codes, table.gold, INVALID_CODE), **cells},
        readings=stacked,
        null_changed=changed_without_cause(table, null_answers),
    )


@dataclass(frozen=True)
class _Figures:
    """Of one condition on one group."""

    accuracy: Figure
    difference: Figure
    drift: Figure
    invalid_rate: float
    p: float | None
    p_adjusted: float | None
    detectable: float | None
    floor: float | None
    counts: Mapping[str, int]
    means: Mapping[str, float | None]


def _rows(
    group: _Group, members: Sequence[SweptCondition], per_item: _PerItem, table: AnswerArrays, spec: StudySpec
) -> Iterator[ConditionRow]:
    places = np.array([per_item.place[condition.name] for condition in members])

    def cut(values: npt.NDArray[T]) -> npt.NDArray[T]:
        kept: npt.NDArray[T] = values[places][:, group.mask]
        return kept

    k, gain, clusters, options = len(members), cut(per_item.gain), table.clusters[group.mask], spec.statistics
    rng = stream(spec.seed, "study", "conditions", "bootstrap", *group.stream)
    values = np.concatenate([cut(per_item.right), gain, cut(per_item.changed)])
    found = bootstrap_many(values, clusters, rng, draws=options.draws, level=options.level)
    rng = stream(spec.seed, "study", "conditions", "sign flips", *group.stream)
    p_values: Sequence[float | None] = sign_flip(gain, clusters, rng, draws=options.permutations).p_values
    p_values = [None if c.role == "baseline" else p for c, p in zip(members, p_values, strict=True)]
    adjusted = adjust(p_values, spec.verdict.correction) if group.scope == "all" else [None] * k
    errors = cluster_standard_errors(gain, clusters)
    counts = {name: cut(mask).sum(axis=1) for name, mask in per_item.counted.items()}
    means = {name: _means(cut(column)) for name, column in per_item.readings.items()}
    invalid, floor = cut(per_item.invalid).mean(axis=1), noise_floor(per_item.null_changed[:, group.mask])
    for i, condition in enumerate(members):
        figures = _Figures(
            accuracy=found[i],
            difference=found[k + i],
            drift=found[2 * k + i],
            invalid_rate=float(invalid[i]),
            p=p_values[i],
            p_adjusted=adjusted[i],
            detectable=None if errors is None else detectable_difference(float(errors[i])),
            floor=floor,
            counts={name: int(column[i]) for name, column in counts.items()},
            means={name: column[i] for name, column in means.items()},
        )
        yield _row(group, condition, figures)


def _row(group: _Group, condition: SweptCondition, f: _Figures) -> ConditionRow:
    edited = condition.role != "baseline"
    return ConditionRow(
        condition=condition.name,
        role=condition.role,
        sets=condition.sets,
        edit=condition.edit,
        scope=group.scope,
        task=group.task,
        level=group.level,
        n=f.accuracy.n_items,
        n_clusters=f.accuracy.n_clusters,
        accuracy=figure(f.accuracy),
        invalid_rate=f.invalid_rate,
        difference=figure(f.difference) if edited else None,
        p_difference=f.p,
        p_difference_adjusted=f.p_adjusted,
        mcnemar=_mcnemar(f.counts) if edited else None,
        detectable_difference=f.detectable if edited else None,
        drift=_drift(f) if edited else None,
        drift_above_noise_floor=drift_above_noise_floor(f.drift.value, f.floor) if edited else None,
        mean_kl_options=f.means["kl_options"] if edited else None,
        mean_kl_vocab=f.means["kl_vocab"] if edited else None,
        mean_margin_change=f.means["margin"] if edited else None,
        mean_shift_edited=f.means["shift_edited"] if edited else None,
        mean_shift_last=f.means["shift_last"] if edited else None,
        amplification=amplification(f.means["shift_last"], f.means["shift_edited"]) if edited else None,
    )


def _mcnemar(counts: Mapping[str, int]) -> McNemarCells:
    cells = ("both_right", "only_baseline_right", "only_condition_right", "both_wrong")
    return McNemarCells(**asdict(mcnemar_of_cells(*(counts[cell] for cell in cells))))


def _drift(f: _Figures) -> DriftFigures:
    parts = {part: f.counts[part] for part in PARTS}
    return DriftFigures(share=figure(f.drift), n_changed=sum(parts.values()), **parts)


def _means(values: Floats) -> list[float | None]:
    """Mean of each row over the items that have the figure; None where none has."""
    there = ~np.isnan(values)
    counts = there.sum(axis=1)
    sums = np.where(there, values, 0).sum(axis=1)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]
