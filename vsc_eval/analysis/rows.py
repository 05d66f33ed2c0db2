"""Every condition of a table against the baseline, on any group of items: the one row of figures that there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.groups import SCOPES, ItemGroup, Scope, column_groups, group_tables, groups
from vsc_eval.analysis.noise_floor import changed_without_cause
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition, Codes, Floats, Mask, Role
from vsc_eval.errors import SpecError, known_names
from vsc_eval.extract import INVALID
from vsc_eval.records import Record
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Drift, Figure, McNemar, adjust, bootstrap_many, stream
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.drift import PARTS, amplification, change_parts, noise_floor
from vsc_eval.stats.significance import mcnemar, sign_flip

Grouping = str | tuple[str, ...]
"""A scope, or columns of the items whose values are combined."""

READINGS = ("kl_options", "kl_vocab", "shift_edited", "shift_last")
"""Columns of a table that a row has the mean of."""

_CELLS = ("both_right", "only_baseline_right", "only_condition_right", "both_wrong")


class Row(Record):
    """One condition on one group of items, against the baseline; what compares is None for the baseline itself."""

    condition: str
    role: Role
    sets: tuple[str, ...]
    edit: str | None
    """See AskedCondition.edit."""
    scope: Scope
    task: str | None
    level: str | None
    by: str | None
    """Column of a `category`, or the columns that were grouped by."""
    category: str | None
    """Its value there, or theirs."""
    n: int
    n_clusters: int
    accuracy: Figure
    invalid_rate: float
    difference: Figure | None = None
    """acc(condition) - acc(baseline), paired."""
    p_difference: float | None = None
    """Sign-flip test of `difference`, two-sided, whole clusters flipped; not adjusted."""
    p_difference_adjusted: float | None = None
    """Over all conditions of the table; None outside the scope `all`."""
    mcnemar: McNemar | None = None
    detectable_difference: float | None = None
    """Smallest true difference found with power 0.8 at level 0.05; None where it cannot be told."""
    drift: Drift | None = None
    drift_above_noise_floor: float | None = None
    """Drift less the noise floor; None where nothing was asked twice."""
    mean_kl_options: float | None = None
    """KL(baseline || condition) over the renormalised options, nats."""
    mean_kl_vocab: float | None = None
    mean_margin_change: float | None = None
    """Change of the gold option's log-probability less the best other's, nats."""
    mean_shift_edited: float | None = None
    mean_shift_last: float | None = None
    amplification: float | None = None
    """mean_shift_last / mean_shift_edited."""

    @property
    def n_right(self) -> int:
        return round((self.accuracy.value or 0) * self.n)

    @property
    def n_invalid(self) -> int:
        return round(self.invalid_rate * self.n)

    @property
    def method(self) -> str:
        """How its intervals came to be. Wilson's is of accuracies alone, so that a row may have two methods."""
        others = [figure.method for figure in (self.difference, self.drift and self.drift.share) if figure]
        if set(others) <= {self.accuracy.method}:
            return self.accuracy.method
        return f"accuracy: {self.accuracy.method}; differences and drift: {', '.join(dict.fromkeys(others))}"


def rows(
    table: AnswerTable,
    statistics: StatisticsSpec,
    *,
    by: Grouping | Iterable[Grouping] = SCOPES,
    null_changed: Mapping[str, Mask] | None = None,
) -> tuple[Row, ...]:
    """Rows of every condition: condition by condition in the table's order, and within it the groups in that of `by`.

    `by` names scopes, or columns of the items: `"task"`, or `["all", "cell", ("task", "gold")]`, where those of a tuple
    are combined. All figures of a group are resampled with the same draws, from streams that are named by the group and
    the seed, so that no row depends on which others are asked for; but the adjusted p, which is over the table's
    conditions. `null_changed` [items] each says which answers changed where nothing was done; by default as this
    table's own second baseline and conditions of strength zero have it. The noise floor of a group is the largest drift
    of these there. Raises SpecError for an unknown scope or column.
    """
    groupings = [by] if isinstance(by, str) else list(by)
    null = changed_without_cause(table) if null_changed is None else null_changed
    per_item = _PerItem.of(table, null)
    found: list[Row] = []
    for grouping in groupings:
        if grouping == "group":
            for grouped in group_tables(table):
                own = _PerItem.of(grouped.table, {name: grouped.any(mask) for name, mask in null.items()})
                everything = np.ones(len(grouped.table.items), dtype=bool)
                found += _rows(ItemGroup("group", everything, task=grouped.task), own, statistics)
        else:
            for group in _groups(table, grouping):
                found += _rows(group, per_item, statistics)
    order = {name: place for place, name in enumerate(table.names)}
    # Stable: within a condition the groups stay in their order.
    return tuple(sorted(found, key=lambda row: order[row.condition]))


def rows_against(
    table: AnswerTable, names: Sequence[str], before: Codes, statistics: StatisticsSpec, *, by: Iterable[Scope]
) -> tuple[tuple[Row, ...], ...]:
    """Rows of each of `names`, conditions of the table, against answers of its own in place of the baseline's: those of
    another run, say. The groups are in the order of `by`.

    `before` [names, items] are places in the table's vocabulary. What is measured against the table's own baseline
    (distances, shifts, the noise floor) is None.
    """
    per_item = _PerItem.against(table, names, before)
    found = [tuple(_rows(group, per_item, statistics)) for scope in by for group in groups(table, scope)]
    return tuple(zip(*found, strict=True))


def find_row(
    rows: Iterable[Row], condition: str, scope: Scope = "all", task: str | None = None, level: str | None = None
) -> Row | None:
    """The row of that condition and group (no category), None if there is none."""
    for row in rows:
        if (row.condition, row.scope, row.task, row.level) == (condition, scope, task, level):
            return row
    return None


def _groups(table: AnswerTable, grouping: Grouping) -> Iterator[ItemGroup]:
    if isinstance(grouping, tuple):
        return column_groups(table, grouping)
    for scope in SCOPES:
        if scope == grouping:
            return groups(table, scope)
    raise SpecError(
        f"There is no grouping '{grouping}'.",
        hint=f"{known_names('groupings', grouping, SCOPES)} Columns of the items go into a tuple: ('{grouping}',).",
    )


T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class _PerItem:
    """What groups sum up: [conditions, items] each, but `null_changed` [null conditions, items]."""

    table: AnswerTable
    conditions: tuple[AskedCondition, ...]
    compared: tuple[bool, ...]
    """Which conditions are compared with others: all but the baseline, which would be with itself."""
    changed: Floats
    gain: Floats
    right: Mask
    invalid: Mask
    counted: Mapping[str, Mask]
    """The parts of drift, and the cells of McNemar's test."""
    readings: Mapping[str, Floats]
    """READINGS, and `margin_change` against the baseline."""
    null_changed: Floats

    @classmethod
    def of(cls, table: AnswerTable, null_changed: Mapping[str, Mask]) -> _PerItem:
        """Of every condition against the baseline."""
        null = np.array(list(null_changed.values()), dtype=np.float64).reshape(-1, len(table.items))
        found = cls.against(table, table.names, table.main.answer[:1])
        compared = tuple(name != BASELINE for name in table.names)
        return replace(found, compared=compared, readings=_readings(table), null_changed=null)

    @classmethod
    def against(cls, table: AnswerTable, names: Sequence[str], before: Codes) -> _PerItem:
        """Of some conditions against `before` [names or 1, items]."""
        codes, gold, words = table.codes(names), table.gold, table.main.vocabulary
        # A gold answer that no condition gave has the code -1, so "unreadable" needs another one.
        invalid = words.index(INVALID) if INVALID in words else -2
        assert not any(item.gold == INVALID for item in table.items), "a gold answer cannot be invalid"
        right, was_right = codes == gold, before == gold
        cells = (right & was_right, ~right & was_right, right & ~was_right, ~right & ~was_right)
        return cls(
            table=table,
            conditions=tuple(map(table.condition, names)),
            compared=(True,) * len(names),
            changed=np.asarray(codes != before, dtype=np.float64),
            gain=right.astype(np.float64) - was_right,
            right=right,
            invalid=codes == invalid,
            counted={**change_parts(before, codes, gold, invalid), **dict(zip(_CELLS, cells, strict=True))},
            readings={},
            null_changed=np.zeros((0, len(table.items))),
        )


def _readings(table: AnswerTable) -> dict[str, Floats]:
    found = {name: table.figures(name, table.names) for name in READINGS}
    margins = table.margins(table.names)
    with np.errstate(invalid="ignore"):
        found["margin_change"] = margins - margins[0]
    return found


def _rows(group: ItemGroup, per_item: _PerItem, statistics: StatisticsSpec) -> Iterator[Row]:
    conditions = per_item.conditions
    places = [i for i, c in enumerate(conditions) if group.targets is None or c.targets == group.targets]

    def cut(values: npt.NDArray[T]) -> npt.NDArray[T]:
        kept: npt.NDArray[T] = values[places][:, group.mask]
        return kept

    k, gain, clusters = len(places), cut(per_item.gain), per_item.table.clusters[group.mask]
    figures = _resampled([cut(per_item.right), gain, cut(per_item.changed)], clusters, group, per_item, statistics)
    rng = stream(statistics.seed, "study", "conditions", "sign flips", *group.stream)
    flipped = sign_flip(gain, clusters, rng, draws=statistics.permutations)
    p = [p if per_item.compared[place] else None for place, p in zip(places, flipped, strict=True)]
    adjusted = adjust(p, statistics.correction) if group.scope == "all" else [None] * k
    detectable = detectable_differences(gain, clusters)
    counts = {name: cut(mask).sum(axis=1).tolist() for name, mask in per_item.counted.items()}
    means = {name: _means(cut(column)) for name, column in per_item.readings.items()}
    invalid, floor = cut(per_item.invalid).mean(axis=1), noise_floor(per_item.null_changed[:, group.mask])
    for i, place in enumerate(places):
        condition, accuracy = conditions[place], figures[i]
        row = Row(
            condition=condition.name,
            role=condition.role,
            sets=condition.spec.sets,
            edit=condition.edit,
            scope=group.scope,
            task=group.task,
            level=group.level,
            by=group.by,
            category=group.category,
            n=accuracy.n_items,
            n_clusters=accuracy.n_clusters,
            accuracy=accuracy,
            invalid_rate=float(invalid[i]),
        )
        if per_item.compared[place]:
            row = row.model_copy(
                update={
                    "difference": figures[k + i],
                    "p_difference": p[i],
                    "p_difference_adjusted": adjusted[i],
                    "mcnemar": mcnemar(*(counts[cell][i] for cell in _CELLS)),
                    "detectable_difference": detectable[i],
                    **_drift(figures[2 * k + i], {part: counts[part][i] for part in PARTS}, floor),
                    **_mean_figures({name: column[i] for name, column in means.items()}),
                }
            )
        yield row


def _drift(share: Figure, parts: Mapping[str, int], floor: float | None) -> dict[str, object]:
    above = None if share.value is None or floor is None else share.value - floor
    return {"drift": Drift(share=share, n_changed=sum(parts.values()), **parts), "drift_above_noise_floor": above}


def _mean_figures(means: Mapping[str, float | None]) -> dict[str, float | None]:
    ratio = amplification(means.get("shift_last"), means.get("shift_edited"))
    return {**{f"mean_{name}": value for name, value in means.items()}, "amplification": ratio}


def _resampled(
    parts: Sequence[npt.NDArray[np.generic]],
    clusters: npt.NDArray[np.str_],
    group: ItemGroup,
    per_item: _PerItem,
    statistics: StatisticsSpec,
) -> Sequence[Figure]:
    """Figures of all rows of `parts`, whose first are the right answers: of these Wilson's where every item is its own
    cluster."""
    return bootstrap_many(
        np.concatenate(parts),
        clusters,
        stream(statistics.seed, "study", "conditions", "bootstrap", *group.stream),
        n_shares=len(parts[0]),
        draws=statistics.draws,
        level=statistics.level,
        cluster_name=per_item.table.cluster_name,
    )


def _means(values: Floats) -> list[float | None]:
    """Mean of each row over the items that have the figure; None where none has."""
    there = ~np.isnan(values)
    counts = there.sum(axis=1)
    sums = np.where(there, values, 0).sum(axis=1)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]
