"""Groups of items that figures are computed on: by the scopes of a result file, or by any columns of the items."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedItem, Codes, Mask
from vsc_eval.errors import SpecError, known_names
from vsc_eval.extract import INVALID
from vsc_eval.settings import StatisticsSpec
from vsc_eval.stats import Figure, bootstrap_many, stream
from vsc_eval.synthetic import LEVELS, TASKS

Scope = Literal["all", "task", "level", "cell", "on_target", "off_target", "category", "group", "columns"]
"""`task`, `level`: the items of each; `cell`: one task at one level; `on_target`, `off_target`: the tasks that a
condition's sets were selected for, and the others; `category`: the items of a task with one value in a column that the
task file reports by; `group`: the complete groups of a task, each of which is one item that is right if all of its
items are; `columns`: the items with the same values in columns that a caller named."""

SCOPES: tuple[Scope, ...] = tuple(scope for scope in get_args(Scope) if scope != "columns")
"""Those of a result file."""

COLUMNS = ("task", "level", "split", "gold", "score", "scoring", "cluster", "cluster_kind", "group")
"""Columns of AskedItem that items may be grouped by, beside the categories of their task files."""

_JOINT = " | "


@dataclass(frozen=True, eq=False)
class ItemGroup:
    """Some items of a table, and what a row says of them."""

    scope: Scope
    mask: Mask
    """[items]."""
    task: str | None = None
    level: str | None = None
    by: str | None = None
    """The column of a category, or the columns that were named."""
    category: str | None = None
    """Its value, or theirs."""
    targets: tuple[str, ...] | None = None
    """Only conditions with these targets have a row here; None: all conditions."""

    @property
    def stream(self) -> tuple[str, ...]:
        """Names of its random streams, which all of its conditions share."""
        if self.targets is not None:
            return (self.scope, *self.targets)
        own = (self.by, self.category) if self.by is not None else ()
        return (self.scope, *(part or "" for part in (self.task, self.level, *own)))


def groups(table: AnswerTable, scope: Scope) -> Iterator[ItemGroup]:
    """The groups of one scope, in the benchmark's order; of `group` one for each task, on `group_tables`' tables."""
    tasks, levels = table.column("task"), table.column("level")
    if scope in ("all", "task", "level", "cell"):
        everything = np.ones(len(table.items), dtype=bool)
        for task in _in_order(tasks.tolist(), TASKS) if scope in ("task", "cell") else [None]:
            of_task = everything if task is None else tasks == task
            for level in _in_order(levels[of_task].tolist(), LEVELS) if scope in ("level", "cell") else [None]:
                if level or scope != "level":
                    mask = of_task if level is None else of_task & (levels == level)
                    yield ItemGroup(scope, mask, task=task, level=level or None)
    elif scope == "category":
        # In the order they are first met, all values of a column before the next's.
        found = dict.fromkeys((item.task, *pair) for item in table.items for pair in item.categories)
        places = list(dict.fromkeys(key[:2] for key in found))
        for task, column, value in sorted(found, key=lambda key: places.index(key[:2])):
            mask = np.array(
                [item.task == task and (column, value) in item.categories for item in table.items], dtype=bool
            )
            yield ItemGroup(scope, mask, task=task, by=column, category=value)
    elif scope in ("on_target", "off_target"):
        for targets in dict.fromkeys(condition.targets for condition in table.conditions if condition.targets):
            on = np.isin(tasks, targets)
            mask = on if scope == "on_target" else ~on
            if mask.any():
                yield ItemGroup(scope, mask, targets=targets)
    else:
        raise AssertionError(scope)


def column_groups(table: AnswerTable, columns: Sequence[str]) -> Iterator[ItemGroup]:
    """The items with the same values in all of `columns`, in the order that they are first met; an item without a value
    in one of them is in none.

    Raises SpecError for a column that no item has.
    """
    categories = {column: None for item in table.items for column, _ in item.categories}
    for column in columns:
        if column not in COLUMNS and column not in categories:
            raise SpecError(
                f"Items have no column '{column}' to group by.",
                hint=known_names("columns", column, [*COLUMNS, *categories]),
            )
    values = [tuple(item_value(item, column) for column in columns) for item in table.items]
    for key in dict.fromkeys(value for value in values if None not in value):
        named = dict(zip(columns, key, strict=True))
        yield ItemGroup(
            "columns",
            np.array([value == key for value in values], dtype=bool),
            task=named.get("task"),
            level=named.get("level"),
            by=", ".join(columns),
            category=", ".join(map(str, key)),
        )


def item_value(item: AskedItem, column: str) -> Any:
    """What an item has in a column, one of its own or a category; None without."""
    return getattr(item, column) if column in ("item_id", *COLUMNS) else dict(item.categories).get(column)


def _in_order(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Each name once: those of the benchmark in its order, then the others as they come (lm-eval sorts by letter)."""
    found = dict.fromkeys(names)
    return [name for name in known if name in found] + [name for name in found if name not in known]


def group_tables(table: AnswerTable) -> Iterator[tuple[str, AnswerTable, list[list[int]]]]:
    """For each task that has complete groups, a table whose items are these, and the places of each one's items in the
    table that it was made of.

    A group's answer is that of all its items, so it is right exactly if each of them is, and has changed if one of them
    has; with one that cannot be read it is `invalid`.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for place, item in enumerate(table.items):
        if item.group is not None:
            places.setdefault((item.task, item.group), []).append(place)
    whole: dict[str, list[list[int]]] = {}
    for (task, _), rows in places.items():
        if len(rows) == table.items[rows[0]].group_size:
            whole.setdefault(task, []).append(rows)
    for task, members in whole.items():
        yield task, _grouped(table, members), members


def _grouped(table: AnswerTable, members: Sequence[list[int]]) -> AnswerTable:
    def joined(answers: Sequence[str]) -> str:
        return INVALID if INVALID in answers else _JOINT.join(answers)

    words, known = table.main.vocabulary, dict[str, int]()
    codes = [
        [known.setdefault(joined([words[code] for code in row[places]]), len(known)) for places in members]
        for row in table.main.answer
    ]
    found: Codes = np.array(codes, dtype=np.int32)
    no_logprobs = np.zeros((*found.shape, 0), dtype=np.float32)
    groups = [[table.items[place] for place in places] for places in members]
    items = tuple(
        replace(
            group[0],
            item_id=f"{group[0].task}/group {group[0].group}",
            gold=joined([item.gold for item in group]),
            gold_index=None,
            categories=(),
            accepted=(),
            options=(),
        )
        for group in groups
    )
    return AnswerTable(items, table.conditions, Answers(table.names, tuple(known), found, found, no_logprobs))


def resampled(
    values: npt.NDArray[Any],
    table: AnswerTable,
    statistics: StatisticsSpec,
    streams: Sequence[str],
    *,
    mask: Mask | slice = slice(None),
    **options: Any,
) -> tuple[Figure, ...]:
    """`bootstrap_many` of `values` [k, masked items of the table], from the random stream of that name."""
    options |= {"draws": statistics.draws, "level": statistics.level, "cluster_name": table.cluster_name}
    return bootstrap_many(values, table.clusters[mask], stream(statistics.seed, *streams), **options)
