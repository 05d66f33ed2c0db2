"""Every condition of a table against the baseline, on any group of items: the one row of figures that there is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.groups import SCOPES, ItemGroup, Scope, column_groups, group_tables, groups, resampled
from vsc_eval.analysis.noise_floor import changed_without_cause
from vsc_eval.answers.answer_table import AnswerTable, Codes, Floats, Mask, Role
from vsc_eval.errors import SpecError, known_names
from vsc_eval.extract import INVALID
from vsc_eval.records import Record
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Drift, Figure, McNemar, adjust, stream
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.drift import PARTS, amplification, change_parts, noise_floor
from vsc_eval.stats.significance import mcnemar, sign_flip

Grouping = str | tuple[str, ...]
"""A scope, or columns of the items whose values are combined."""

READINGS = ("kl_options", "kl_vocab", "shift_edited", "shift_last")
"""Columns of a table that a row has the mean of."""

CELLS = ("both_right", "only_baseline_right", "only_condition_right", "both_wrong")
"""Of McNemar's test."""


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
    null = changed_without_cause(table) if null_changed is None else null_changed
    per_item, found = _PerItem(table, table.names, table.main.answer[:1], null), list[Row]()
    for grouping in [by] if isinstance(by, str) else by:
        if grouping == "group":
            for task, whole, members in group_tables(table):
                own_null = {name: np.array([mask[rows].any() for rows in members]) for name, mask in null.items()}
                own = _PerItem(whole, whole.names, whole.main.answer[:1], own_null)
                everything = np.ones(len(whole.items), dtype=bool)
                found += _rows(ItemGroup("group", everything, task=task), own, statistics)
        else:
            for group in _groups(table, grouping):
                found += _rows(group, per_item, statistics)
    # Stable: within a condition the groups stay in their order.
    return tuple(sorted(found, key=lambda row: table.main.rows[row.condition]))


def rows_against(
    table: AnswerTable, names: Sequence[str], before: Codes, statistics: StatisticsSpec, *, by: Iterable[Scope]
) -> tuple[tuple[Row, ...], ...]:
    """Rows of each of `names`, conditions of the table, against answers of its own in place of the baseline's: those of
    another run, say. The groups are in the order of `by`.

    `before` [names, items] are places in the table's vocabulary. What is measured against the table's own baseline
    (distances, shifts, the noise floor) is None.
    """
    per_item = _PerItem(table, names, before, None)
    found = [tuple(_rows(group, per_item, statistics)) for scope in by for group in groups(table, scope)]
    return tuple(zip(*found, strict=True))


def find_row(
    rows: Iterable[Row], condition: str, scope: Scope = "all", task: str | None = None, level: str | None = None
) -> Row | None:
    """The row of that condition and group (no category), None if there is none."""
    wanted = (condition, scope, task, level)
    return next((row for row in rows if (row.condition, row.scope, row.task, row.level) == wanted), None)


def _groups(table: AnswerTable, grouping: Grouping) -> Iterator[ItemGroup]:
    if isinstance(grouping, tuple):
        return column_groups(table, grouping)
    if grouping in SCOPES:
        return groups(table, grouping)
    raise SpecError(
        f"There is no grouping '{grouping}'.",
        hint=f"{known_names('groupings', grouping, SCOPES)} Columns of the items go into a tuple: ('{grouping}',).",
    )


class _PerItem:
    """What groups sum up, [conditions, items] each: of conditions against `before` [names or 1, items], the baseline's
    answers, or others where `null_changed` is None."""

    def __init__(
        self, table: AnswerTable, names: Sequence[str], before: Codes, null_changed: Mapping[str, Mask] | None
    ) -> None:
        codes, gold, words = table.codes(names), table.gold, table.main.vocabulary
        # A gold answer that no condition gave has the code -1, so "unreadable" needs another one.
        invalid = words.index(INVALID) if INVALID in words else -2
        assert not any(item.gold == INVALID for item in table.items), "a gold answer cannot be invalid"
        right, was_right = codes == gold, before == gold
        cells = (right & was_right, ~right & was_right, right & ~was_right, ~right & ~was_right)
        self.table, self.conditions = table, [table.condition(name) for name in names]
        # All but the baseline, which would be compared with itself.
        self.compared = [null_changed is None or name != BASELINE for name in names]
        self.right, self.changed, self.invalid = right, codes != before, codes == invalid
        self.gain = right.astype(np.float64) - was_right
        self.counted = {**change_parts(before, codes, gold, invalid), **dict(zip(CELLS, cells, strict=True))}
        self.readings = dict[str, Floats]()
        if null_changed is not None:
            margins = table.margins(names)
            with np.errstate(invalid="ignore"):
                self.readings["margin_change"] = margins - margins[0]
            self.readings |= {name: table.figures(name, names) for name in READINGS}
        null = list((null_changed or {}).values())
        self.null_changed = np.array(null, dtype=np.float64).reshape(-1, len(table.items))


def _rows(group: ItemGroup, per_item: _PerItem, statistics: StatisticsSpec) -> Iterator[Row]:
    conditions, table = per_item.conditions, per_item.table
    places = [i for i, c in enumerate(conditions) if group.targets is None or c.targets == group.targets]

    def cut(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values[places][:, group.mask]

    k, gain, clusters = len(places), cut(per_item.gain), table.clusters[group.mask]
    values = np.concatenate([cut(per_item.right), gain, cut(per_item.changed)])
    streams = [("study", "conditions", what, *group.stream) for what in ("bootstrap", "sign flips")]
    figures = resampled(values, table, statistics, streams[0], mask=group.mask, n_shares=k)
    flipped = sign_flip(gain, clusters, stream(statistics.seed, *streams[1]), draws=statistics.permutations)
    p = [p if per_item.compared[place] else None for place, p in zip(places, flipped, strict=True)]
    adjusted = adjust(p, statistics.correction) if group.scope == "all" else [None] * k
    detectable = detectable_differences(gain, clusters)
    counts = {name: cut(mask).sum(axis=1).tolist() for name, mask in per_item.counted.items()}
    means = {name: _means(cut(column)) for name, column in per_item.readings.items()}
    invalid, floor = cut(per_item.invalid).mean(axis=1), noise_floor(per_item.null_changed[:, group.mask])
    for i, place in enumerate(places):
        condition, accuracy, against = conditions[place], figures[i], dict[str, Any]()
        if per_item.compared[place]:
            share, parts = figures[2 * k + i], {part: counts[part][i] for part in PARTS}
            own = {name: column[i] for name, column in means.items()}
            against = {
                "difference": figures[k + i],
                "p_difference": p[i],
                "p_difference_adjusted": adjusted[i],
                "mcnemar": mcnemar(*(counts[cell][i] for cell in CELLS)),
                "detectable_difference": detectable[i],
                "drift": Drift(share=share, n_changed=sum(parts.values()), **parts),
                "drift_above_noise_floor": None if share.value is None or floor is None else share.value - floor,
                **{f"mean_{name}": value for name, value in own.items()},
                "amplification": amplification(own.get("shift_last"), own.get("shift_edited")),
            }
        yield Row(
            condition=condition.name,
            role=condition.role,
            sets=condition.spec.sets,
            edit=condition.edit,
            **{name: getattr(group, name) for name in ("scope", "task", "level", "by", "category")},
            n=accuracy.n_items,
            n_clusters=accuracy.n_clusters,
            accuracy=accuracy,
            invalid_rate=float(invalid[i]),
            **against,
        )


def _means(values: Floats) -> list[float | None]:
    """Mean of each row over the items that have the figure; None where none has."""
    there = ~np.isnan(values)
    sums, counts = np.where(there, values, 0).sum(axis=1), there.sum(axis=1)
    return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]


Change = Literal["right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid"]
"""The parts of drift; see stats.drift."""


class Flip(Record):
    """One item whose answer is another than the baseline's."""

    item_id: str
    task: str
    level: str | None
    gold: str
    before: str
    """The baseline's answer."""
    after: str
    change: Change


def flips(table: AnswerTable, condition: str) -> tuple[Flip, ...]:
    """The items that `condition` changed, in the table's order. Raises SpecError for an unknown condition."""
    if condition not in table.main.rows:
        raise SpecError(f"There is no condition '{condition}'.", hint=known_names("conditions", condition, table.names))
    words = table.main.vocabulary
    before, after = table.main.answer[0], table.main.answer[table.main.rows[condition]]
    parts = change_parts(before, after, table.gold, words.index(INVALID) if INVALID in words else -2)
    changes = sorted((place, change) for change, mask in parts.items() for place in np.flatnonzero(mask).tolist())
    return tuple(
        Flip(
            **{name: getattr(table.items[place], name) for name in ("item_id", "task", "level", "gold")},
            before=words[before[place]],
            after=words[after[place]],
            change=cast(Change, change),
        )
        for place, change in changes
    )
