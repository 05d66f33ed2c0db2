"""Records and tables of answers as DataFrames: flat columns in snake_case, one value a cell.

Every frame with a `condition` has what is known of it beside it, so that nothing must be joined: role, sets (joined by
`+`), edit, edit_kind, alpha (the strength: 0 of `ablate`, NaN of the baseline), positions and norm_match. Conditions,
tasks and levels are ordered categories. A figure `x` has its interval as `x_low` and `x_high`. What is undefined is NaN
(None in columns of words).
"""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from vsc_eval.analysis.groups import COLUMNS, SCOPES, column_groups, item_value
from vsc_eval.analysis.rows import Grouping, Row
from vsc_eval.answers.answer_table import (
    COUNT_COLUMNS,
    FLOAT_COLUMNS,
    TEXT_COLUMNS,
    AnswerTable,
    AskedCondition,
)
from vsc_eval.records import Record
from vsc_eval.stats import Drift, Figure, McNemar
from vsc_eval.stats.drift import PARTS
from vsc_eval.synthetic import LEVELS, TASKS

_OF_THE_GROUP = ("task", "level", "by", "category")
_NAMED_BY = {"task": ["task"], "level": ["level"], "cell": ["task", "level"], "group": ["task"]}
_NAMED_BY["category"] = ["task", "by", "category"]
"""What names the groups of a scope; of the others nothing does."""


def record_frame(kind: type[Record], records: Sequence[Record], table: AnswerTable) -> pd.DataFrame:
    """One row a record of that kind, of a condition with what is known of it. Without any, the columns are there."""
    frame = pd.DataFrame([_flat(kind, record) for record in records], columns=list(_flat(kind, None)))
    if "condition" not in frame:
        return typed(frame, table)
    known = condition_frame(table.conditions).set_index("condition").loc[frame["condition"]]
    others = frame.drop(columns=["condition", *(column for column in known if column in frame)])
    return typed(pd.concat([known.reset_index(), others], axis="columns"), table)


def condition_frame(conditions: Sequence[AskedCondition]) -> pd.DataFrame:
    """One row a condition."""
    order = ("condition", "role", "sets", "edit", "edit_kind", "alpha", "positions", "norm_match")
    rows = [{**c.described, "sets": "+".join(c.spec.sets) or None, "edit": c.edit} for c in conditions]
    return pd.DataFrame(rows, columns=list(order)).astype({"alpha": float})


def grouping_of(by: str | Iterable[str]) -> Grouping:
    """A scope by its name, or columns of the items."""
    if not isinstance(by, str):
        return tuple(by)
    return by if by in SCOPES else (by,)


def row_frame(rows: Sequence[Row], table: AnswerTable, grouping: Grouping) -> pd.DataFrame:
    """Rows of one grouping, whose groups are named by columns of their own."""
    frame = record_frame(Row, rows, table)
    if isinstance(grouping, str):
        named = frame[_NAMED_BY.get(grouping, [])]
    else:
        firsts = [table.items[int(group.mask.argmax())] for group in column_groups(table, grouping)]
        values = {column: [item_value(item, column) for item in firsts] for column in grouping}
        # Condition by condition, and within each the groups in this order.
        named = typed(pd.DataFrame(values), table)
        named = named.iloc[np.tile(np.arange(len(firsts)), len(table.names))].reset_index(drop=True)
    others = frame.drop(columns=["condition", "scope", *_OF_THE_GROUP])
    return pd.concat([frame[["condition"]], named, others], axis="columns")


def answer_frame(table: AnswerTable) -> pd.DataFrame:
    """One row an item and condition. Columns without any value are left out."""
    answers, n = table.main, len(table.items)
    words = np.array(answers.vocabulary, dtype=object)
    conditions = condition_frame(table.conditions)
    columns: dict[str, Any] = {str(name): np.repeat(values.to_numpy(), n) for name, values in conditions.items()}
    categories = dict.fromkeys(column for item in table.items for column, _ in item.categories)
    for name in ("item_id", *COLUMNS, *categories):
        values = np.array([item_value(item, name) for item in table.items], dtype=object)
        columns[name] = np.tile(values, len(table.names))
    columns["read"], columns["answer"] = words[answers.read].ravel(), words[answers.answer].ravel()
    columns["right"] = table.right(table.names).ravel()
    columns["changed"] = table.changed(table.names).ravel() > 0
    flat: dict[str, Any] = {name: values.ravel() for name, values in answers.columns.items()}
    for name in flat.keys() & set(COUNT_COLUMNS):
        flat[name] = pd.Series(flat[name], dtype="Int64").mask(flat[name] < 0)
    options = {f"logprob_{option.lower()}": values.ravel() for option, values in _option_columns(table).items()}
    flat |= options
    columns |= {name: flat[name] for name in (*TEXT_COLUMNS, *options, *FLOAT_COLUMNS, *COUNT_COLUMNS) if name in flat}
    return typed(pd.DataFrame(columns), table).dropna(axis="columns", how="all")


def typed(frame: pd.DataFrame, table: AnswerTable) -> pd.DataFrame:
    """Conditions, tasks and levels as ordered categories; columns without any value as NaN."""
    orders: dict[str, Sequence[str]] = {"condition": table.names, "task": TASKS, "level": LEVELS}
    for column in orders.keys() & set(frame):
        there = dict.fromkeys(frame[column].dropna())
        # Others than the benchmark's come as they are first met.
        order = dict.fromkeys([*(name for name in orders[column] if name in there), *there])
        frame[column] = pd.Categorical(frame[column], categories=list(order), ordered=True)
    for column in frame.columns:
        if len(frame) and frame[column].isna().all():
            frame[column] = frame[column].astype(float)
    return frame


def _option_columns(table: AnswerTable) -> dict[str, npt.NDArray[np.float32]]:
    """Option -> its log-probability [conditions, items], NaN for items without it."""
    logprobs = table.main.option_logprobs
    found: dict[str, npt.NDArray[np.float32]] = {}
    for place, item in enumerate(table.items):
        for rank, option in enumerate(item.options[: logprobs.shape[2]]):
            column = found.setdefault(option, np.full(logprobs.shape[:2], np.nan, dtype=np.float32))
            column[:, place] = logprobs[:, place, rank]
    return found


def _flat(kind: type[Record], record: Record | None) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        cells |= _cells(name, (field.annotation, *get_args(field.annotation)), getattr(record, name, None))
    return cells


def _cells(name: str, kinds: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The cells of one field; `kinds` are the types that it may have, so that None gives the same columns."""
    if Figure in kinds:
        return {name: value and value.value, f"{name}_low": value and value.low, f"{name}_high": value and value.high}
    if Drift in kinds:
        parts = {part: value and getattr(value, part) for part in ("n_changed", *PARTS)}
        return {**_cells(name, (Figure,), value and value.share), **parts}
    if McNemar in kinds:
        return {f"p_{name}": value and value.p_value}
    if kinds[0] == tuple[str, str]:
        return {f"{name}_a": value and value[0], f"{name}_b": value and value[1]}
    if kinds[0] == tuple[float, ...]:
        return {f"n_{name}": value and len(value), f"mean_{name}": float(np.mean(value)) if value else None}
    return {name: "+".join(value) or None if isinstance(value, tuple) else value}
