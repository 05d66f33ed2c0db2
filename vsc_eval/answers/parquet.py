"""The files of a table of answers: items.parquet, conditions.parquet and answers.parquet, or another stem beside them.

Anything that reads parquet reads them; no column needs this package. Rows and row groups stand in a fixed order and
hold nothing of the machine, so that the same answers are the same bytes under one release of pyarrow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vsc_eval.answers.answer_table import (
    COUNT_COLUMNS,
    FLOAT_COLUMNS,
    TEXT_COLUMNS,
    Answers,
    AnswerTable,
    AskedCondition,
    AskedItem,
    Pass,
)
from vsc_eval.answers.bounded_parquet import Limits, damaged, read_bounded
from vsc_eval.errors import DataError
from vsc_eval.files import file_hash, replacing
from vsc_eval.specs import BASELINE, ConditionSpec

SCHEMA_VERSION = 1
"""Of the three files; to be raised when a column changes its meaning or goes away."""

ANSWERS, ITEMS, CONDITIONS = "answers", "items", "conditions"
_ROWS_A_GROUP = 1 << 17
_WORD = pa.dictionary(pa.int32(), pa.string())
_PAIRS = pa.list_(pa.struct([("column", pa.string()), ("value", pa.string())]))
_META = {b"vsc_eval_schema": str(SCHEMA_VERSION).encode()}
_MOST_LOGPROBS = 1 << 28
"""Of a table in memory, padded: an item with a million options would be one for every answer."""

_ITEM_TYPES: dict[str, pa.DataType] = {
    "item_id": pa.string(),
    "doc_id": pa.int32(),
    "task": _WORD,
    "level": _WORD,
    "split": _WORD,
    "cluster": pa.string(),
    "cluster_kind": _WORD,
    "group": pa.string(),
    "group_size": pa.int32(),
    "categories": _PAIRS,
    "fields": _PAIRS,
    "gold": pa.string(),
    "gold_index": pa.int32(),
    "accepted": pa.list_(pa.string()),
    "score": _WORD,
    "options": pa.list_(pa.string()),
    "scoring": _WORD,
    "max_new_tokens": pa.int32(),
    "stops": pa.list_(pa.string()),
    "prompt_hash": pa.string(),
    "image_hash": pa.string(),
    "messages": pa.string(),
}

_CONDITION_TYPES: dict[str, pa.DataType] = {
    "condition": pa.string(),
    "role": _WORD,
    "sets": pa.list_(pa.string()),
    "edit": pa.string(),
    "edit_kind": _WORD,
    "alpha": pa.float64(),
    "positions": _WORD,
    "norm_match": _WORD,
    "content_hash": pa.string(),
    "targets": pa.list_(pa.string()),
    "control_kind": _WORD,
    "draw": pa.int32(),
}

_ANSWER_TYPES: dict[str, pa.DataType] = {
    "item_id": _WORD,
    "condition": _WORD,
    "pass": _WORD,
    "task": _WORD,
    "level": _WORD,
    "cluster": _WORD,
    "gold": _WORD,
    "read": _WORD,
    "answer": _WORD,
    "right": pa.bool_(),
    "option_logprobs": pa.list_(pa.float32()),
    **dict.fromkeys(TEXT_COLUMNS, pa.string()),
    **dict.fromkeys(COUNT_COLUMNS, pa.int32()),
    **dict.fromkeys(FLOAT_COLUMNS, pa.float64()),
}
"""In the order of the columns. What is the same for all items of a run stands in items.parquet."""


def table_files(stem: str = ANSWERS) -> tuple[str, str, str]:
    """Names of the files of a table: those of `answers`, or `<stem>.parquet` with items and conditions of its own."""
    prefix = "" if stem == ANSWERS else f"{stem}_"
    return f"{prefix}{ITEMS}.parquet", f"{prefix}{CONDITIONS}.parquet", f"{stem}.parquet"


def write_table(folder: Path, table: AnswerTable, stem: str = ANSWERS) -> dict[str, str]:
    """Write the three files, each at once or not at all; file name -> sha256 of its bytes. The answers come last, so a
    folder that has them has all. Raises BackendError if it cannot be written."""
    items, conditions, answers = table_files(stem)
    return {
        items: _write(folder / items, _ITEM_TYPES, [_item_columns(table.items)]),
        conditions: _write(folder / conditions, _CONDITION_TYPES, [_condition_columns(table.conditions)]),
        answers: _write(folder / answers, _ANSWER_TYPES, _answer_columns(table)),
    }


def read_table(folder: Path, stem: str = ANSWERS, *, limits: Limits | None = None) -> AnswerTable:
    """What `write_table` wrote, or another program of the same columns.

    With `limits` the files are somebody else's: they are bounded before they are unpacked, have exactly our columns,
    and what answers.parquet repeats of items.parquet is the same there. Raises DataError, naming the file, where one is
    missing, damaged, of another version, or where the answers are not one for each item and condition of a pass.
    """
    item_file, condition_file, answer_file = files = [folder / name for name in table_files(stem)]
    types = (_ITEM_TYPES, _CONDITION_TYPES, _ANSWER_TYPES)
    item_rows, condition_rows, found = (_read(file, kind, limits) for file, kind in zip(files, types, strict=True))
    items = tuple(_item(row) for row in item_rows.to_pylist())
    conditions = tuple(_condition(row, condition_file) for row in condition_rows.to_pylist())
    passes = {name: _answers(part, items, answer_file) for name, part in _by_pass(found)}
    main = passes.pop("main", None)
    if main is None or main.names != tuple(condition.name for condition in conditions) or main.names[0] != BASELINE:
        raise damaged(answer_file, f"its conditions are not those of {condition_file.name}, the baseline first")
    table = AnswerTable(items, conditions, main, cast(dict[Pass, Answers], passes))
    if limits is not None and (column := _not_repeated(found, table)):
        raise damaged(answer_file, f"its column '{column}' does not say what {item_file.name} and the answers say")
    return table


def _not_repeated(found: pa.Table, table: AnswerTable) -> str | None:
    """The first column that is not what follows from the others."""
    start = 0
    for columns in _answer_columns(table):
        part = found.slice(start, len(columns["right"]))
        start += len(part)
        for name in ("task", "level", "cluster", "gold", "right"):
            kind = pa.bool_() if name == "right" else pa.string()
            if part[name].cast(kind).combine_chunks() != columns[name].cast(kind):
                return name
    return None


def _write(path: Path, types: dict[str, pa.DataType], parts: Iterable[dict[str, Any]]) -> str:
    schema = pa.schema(list(types.items()), metadata=_META)
    with replacing(path) as partial:
        with pq.ParquetWriter(partial, schema, compression="zstd", version="2.6", store_schema=True) as writer:
            for columns in parts:
                arrays = [_array(columns[name], kind) for name, kind in types.items()]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=_ROWS_A_GROUP)
        return file_hash(partial)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def _item_columns(items: Sequence[AskedItem]) -> dict[str, Any]:
    def value(item: AskedItem, name: str) -> Any:
        found = getattr(item, name)
        return [{"column": c, "value": v} for c, v in found] if _ITEM_TYPES[name] is _PAIRS else found

    return {name: [value(item, name) for item in items] for name in _ITEM_TYPES}


def _item(row: dict[str, Any]) -> AskedItem:
    for name in ("categories", "fields"):
        row[name] = tuple((pair["column"], pair["value"]) for pair in row[name] or ())
    for name in ("accepted", "options", "stops"):
        row[name] = tuple(row[name] or ())
    return AskedItem(**row)


def _condition_columns(conditions: Sequence[AskedCondition]) -> dict[str, Any]:
    edits = [condition.spec.edit for condition in conditions]
    return {
        "condition": [condition.name for condition in conditions],
        "role": [condition.role for condition in conditions],
        "sets": [condition.spec.sets for condition in conditions],
        "edit": [edit and json.dumps(edit.model_dump(mode="json")) for edit in edits],
        "edit_kind": [edit and edit.kind for edit in edits],
        "alpha": [edit and edit.strength for edit in edits],
        "positions": [edit and edit.positions for edit in edits],
        "norm_match": [edit and edit.norm_match and edit.norm_match.reference for edit in edits],
        "content_hash": [condition.content_hash for condition in conditions],
        "targets": [condition.targets for condition in conditions],
        "control_kind": [condition.control_kind for condition in conditions],
        "draw": [condition.draw for condition in conditions],
    }


def _condition(row: dict[str, Any], path: Path) -> AskedCondition:
    try:
        edit = row["edit"] and json.loads(row["edit"])
        spec = ConditionSpec.model_validate({"name": row["condition"], "sets": row["sets"] or (), "edit": edit})
    except ValueError as error:
        raise damaged(path, f"condition '{row['condition']}' cannot be read: {error}") from error
    return AskedCondition(
        spec=spec,
        content_hash=row["content_hash"],
        targets=None if row["targets"] is None else tuple(row["targets"]),
        control_kind=row["control_kind"],
        draw=row["draw"],
    )


def _answer_columns(table: AnswerTable) -> Iterator[dict[str, Any]]:
    """Columns of some conditions of a pass at a time: a table of controls has millions of rows."""
    n_items = len(table.items)
    own = {name: _words(getattr(item, name) for item in table.items) for name in ("task", "level", "cluster", "gold")}
    own["item_id"] = _words(item.item_id for item in table.items)
    counts = [len(item.options) for item in table.items]
    step = max(1, _ROWS_A_GROUP // max(1, n_items))
    for name, unordered in {"main": table.main, **table.passes}.items():
        answers = unordered.in_order()
        words = pa.array(answers.vocabulary, pa.string())
        gold = [item.gold for item in table.items]
        gold_codes = np.array([answers.vocabulary.index(g) if g in answers.vocabulary else -1 for g in gold])
        for start in range(0, len(answers.names), step):
            part = answers.take(slice(start, start + step))
            k = len(part.names)
            columns: dict[str, Any] = {
                key: pa.DictionaryArray.from_arrays(
                    pa.array(np.tile(codes, k), pa.int32(), mask=np.tile(codes < 0, k)), w
                )
                for key, (codes, w) in own.items()
            }
            columns["condition"] = _coded(np.repeat(np.arange(k), n_items), pa.array(part.names, pa.string()))
            columns["pass"] = _coded(np.zeros(k * n_items), pa.array([name], pa.string()))
            columns["read"] = _coded(part.read.ravel(), words)
            columns["answer"] = _coded(part.answer.ravel(), words)
            columns["right"] = pa.array((part.answer == gold_codes).ravel())
            columns["option_logprobs"] = _lists(part.option_logprobs, counts)
            for key in TEXT_COLUMNS:
                columns[key] = pa.array(_flat(part.texts.get(key), k * n_items), pa.string())
            for key in COUNT_COLUMNS:
                columns[key] = _numbers(part.counts.get(key), pa.int32(), k * n_items, lambda column: column < 0)
            for key in FLOAT_COLUMNS:
                columns[key] = _numbers(part.floats.get(key), pa.float64(), k * n_items, np.isnan)
            yield columns


def _words(values: Iterable[str | None]) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """(place of each value among the different ones, -1 for None; the different ones)."""
    values = list(values)
    known = {word: place for place, word in enumerate(dict.fromkeys(value for value in values if value is not None))}
    return np.array([-1 if v is None else known[v] for v in values], dtype=np.int32), pa.array(list(known), pa.string())


def _coded(codes: npt.NDArray[Any], words: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), words)


def _flat(column: npt.NDArray[np.object_] | None, n: int) -> list[Any]:
    return [None] * n if column is None else column.ravel().tolist()


def _numbers(
    column: npt.NDArray[Any] | None,
    kind: pa.DataType,
    n: int,
    missing: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]],
) -> pa.Array:
    return pa.nulls(n, kind) if column is None else pa.array(column.ravel(), kind, mask=missing(column.ravel()))


def _lists(logprobs: npt.NDArray[np.float32], n_options: Sequence[int]) -> pa.Array:
    """One list an answer, as long as its item has options; null where the item has none or the answer lacks them."""
    n_conditions, n_items, width = logprobs.shape
    if not width:
        return pa.nulls(n_conditions * n_items, pa.list_(pa.float32()))
    used = np.arange(width) < np.array(n_options)[:, None]
    there = ~np.isnan(logprobs[:, :, 0])
    kept = used & there[:, :, None]
    lengths = kept.sum(-1).ravel()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    mask = pa.array(lengths == 0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(logprobs[kept]), mask=mask)


def _read(path: Path, types: dict[str, pa.DataType], limits: Limits | None = None) -> pa.Table:
    try:
        found = (
            pq.read_table(path)
            if limits is None
            else read_bounded(path, types, limits, limits.answers if types is _ANSWER_TYPES else limits.items)
        )
    except FileNotFoundError as error:
        raise DataError(
            f"There is no {path}.", hint="The run is not finished: give its command again, then read it."
        ) from error
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise damaged(path, str(error)) from error
    version = (found.schema.metadata or {}).get(b"vsc_eval_schema", b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise DataError(
            f"{path} is of schema version {version}; this vsc-eval reads version {SCHEMA_VERSION}.",
            hint="Read it with the release that wrote it, or run it again.",
        )
    if missing := [name for name in types if name not in found.column_names]:
        raise damaged(path, f"the columns {', '.join(missing)} are missing")
    return found.select(list(types))


_NOT_EACH = "it does not hold one answer for each item and condition, in their order"


def _by_pass(found: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    column = found["pass"].combine_chunks()
    names = np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False))
    for name in dict.fromkeys(names.tolist()):
        yield name, found.filter(pa.array(names == name))


def _answers(rows: pa.Table, items: Sequence[AskedItem], path: Path) -> Answers:
    names = tuple(dict.fromkeys(rows["condition"].cast(pa.string()).to_pylist()))
    shape = (len(names), len(items))
    if len(rows) != len(names) * len(items):
        raise damaged(path, _NOT_EACH)
    expected_items = [item.item_id for item in items] * len(names)
    expected_names = [name for name in names for _ in items]
    if (
        rows["item_id"].cast(pa.string()).to_pylist() != expected_items
        or rows["condition"].cast(pa.string()).to_pylist() != expected_names
    ):
        raise damaged(path, _NOT_EACH)
    read, answer = (rows[name].cast(pa.string()).to_pylist() for name in ("read", "answer"))
    vocabulary = tuple(sorted({*answer, *read}))
    place = {word: code for code, word in enumerate(vocabulary)}
    floats = {n: c for n in FLOAT_COLUMNS if (c := _matrix(rows[n], shape, np.nan, np.float64)) is not None}
    counts = {n: c for n in COUNT_COLUMNS if (c := _matrix(rows[n], shape, -1, np.int64)) is not None}
    texts = {}
    for name in TEXT_COLUMNS:
        if rows[name].null_count < len(rows):
            texts[name] = np.array(rows[name].to_pylist(), dtype=object).reshape(shape)
    return Answers(
        names=names,
        vocabulary=vocabulary,
        read=np.array([place[word] for word in read], dtype=np.int32).reshape(shape),
        answer=np.array([place[word] for word in answer], dtype=np.int32).reshape(shape),
        option_logprobs=_padded(rows["option_logprobs"].combine_chunks(), shape),
        floats=floats,
        counts=counts,
        texts=texts,
    )


def _matrix(column: pa.ChunkedArray, shape: tuple[int, int], missing: float, kind: Any) -> npt.NDArray[Any] | None:
    """The column as [conditions, items]; None where it has no value anywhere."""
    if column.null_count == len(column):
        return None
    found: npt.NDArray[Any] = column.fill_null(missing).to_numpy().astype(kind).reshape(shape)
    return found


def _padded(lists: pa.ListArray, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    width = int(lengths.max()) if len(lengths) else 0
    if len(lengths) * width > _MOST_LOGPROBS:
        raise DataError(
            f"{len(lengths):,} answers with up to {width:,} log-probabilities each are more than fit into memory.",
            hint="Ask fewer options of an item.",
        )
    padded = np.full((len(lengths), width), np.nan, dtype=np.float32)
    padded[np.arange(width) < lengths[:, None]] = lists.flatten().to_numpy(zero_copy_only=False)
    return padded.reshape(*shape, width)
