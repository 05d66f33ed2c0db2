"""Parts of an answer table that a task file declares: categories, and groups of items that are scored together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vsc_eval.answers.table import AnswerTable, ItemInfo, Mask
from vsc_eval.extract import INVALID
from vsc_eval.records import Reading

_JOINT = " | "


def category_masks(table: AnswerTable) -> Iterator[tuple[str, str, str, Mask]]:
    """(task, column, value, its items) of every category, in the order they are first met."""
    found = dict.fromkeys((item.task, *pair) for item in table.items for pair in item.categories)
    columns = {place: rank for rank, place in enumerate(dict.fromkeys(key[:2] for key in found))}
    # All values of a column before the next column's; the sort is stable.
    for task, column, value in sorted(found, key=lambda key: columns[key[:2]]):
        places = [item.task == task and (column, value) in item.categories for item in table.items]
        yield task, column, value, np.array(places, dtype=bool)


def group_tables(table: AnswerTable) -> dict[str, AnswerTable]:
    """Task -> a table whose items are its complete groups; tasks without one are left out.

    A group's answer is that of all its items, so it is right exactly if each of them is, and has changed if one of them
    has; with one that cannot be read it is `invalid`.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for place, item in enumerate(table.items):
        if item.group is not None:
            places.setdefault((item.task, item.group), []).append(place)
    whole = {key: rows for key, rows in places.items() if len(rows) == table.items[rows[0]].group_size}
    tasks = dict.fromkeys(task for task, _ in whole)
    return {task: _grouped(table, [rows for (own, _), rows in whole.items() if own == task]) for task in tasks}


def _grouped(table: AnswerTable, groups: list[list[int]]) -> AnswerTable:
    def joined(answers: tuple[str, ...], rows: list[int]) -> str:
        own = [answers[row] for row in rows]
        return INVALID if INVALID in own else _JOINT.join(own)

    golds = tuple(item.gold for item in table.items)
    items = tuple(_group_item(table.items[rows[0]], joined(golds, rows)) for rows in groups)
    return AnswerTable(
        items=items,
        answers={name: tuple(joined(column, rows) for rows in groups) for name, column in table.answers.items()},
        readings={name: tuple(Reading() for _ in groups) for name in table.answers},
    )


def _group_item(first: ItemInfo, gold: str) -> ItemInfo:
    return replace(
        first, item_id=f"{first.task}/group {first.group}", gold=gold, gold_index=None, categories=(), accepted=()
    )
