"""The files of a table of answers: items.parquet, conditions.parquet and answers.parquet, or another stem beside them.

Anything that reads parquet reads them; no column needs this package. Rows and row groups stand in a fixed order and
hold nothing of the machine, so that the same answers are the same bytes under one release of pyarrow.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vsc_eval.answers.answer_table import COLUMNS, Answers, AnswerTable, AskedCondition, AskedItem, Pass
from vsc_eval.answers.bounded import MOST_ANSWERS, MOST_ITEMS, damaged, read_bounded
from vsc_eval.errors import DataError
from vsc_eval.files import file_hash, replacing
from vsc_eval.specs import BASELINE, ConditionSpec

SCHEMA_VERSION = 1
"""Of the three files; to be raised when a column changes its meaning or goes away."""

ANSWERS, ITEMS, CONDITIONS = "answers", "items", "conditions"
_ROWS_A_GROUP = 1 << 17
_META = {b"vsc_eval_schema": str(SCHEMA_VERSION).encode()}
_MOST_LOGPROBS = 1 << 28
"""Of a table in memory, padded: an item with a million options would be one for every answer."""

_TEXT, _COUNT, _TEXTS = pa.string(), pa.int32(), pa.list_(pa.string())
_WORD = pa.dictionary(pa.int32(), pa.string())
_TYPES: dict[Any, pa.DataType] = {
    str: _TEXT,
    str | None: _TEXT,
    int: _COUNT,
    int | None: _COUNT,
    tuple[str, ...]: _TEXTS,
    tuple[tuple[str, str], ...]: pa.list_(pa.struct([("column", _TEXT), ("value", _TEXT)])),
    object: _TEXT,
    np.int64: _COUNT,
    np.float64: pa.float64(),
}
"""How the fields of an item and the columns of answers are written."""

_WORDS = ("task", "level", "split", "cluster_kind", "score", "scoring")
_ITEM_SCHEMA = pa.schema(
    [(name, _WORD if name in _WORDS else _TYPES[kind]) for name, kind in get_type_hints(AskedItem).items()], _META
)
_CONDITION_SCHEMA = pa.schema(
    [
        ("condition", _TEXT),
        ("role", _WORD),
        ("sets", _TEXTS),
        ("edit", _TEXT),
        ("edit_kind", _WORD),
        ("alpha", pa.float64()),
        ("positions", _WORD),
        ("norm_match", _WORD),
        ("content_hash", _TEXT),
        ("targets", _TEXTS),
        ("control_kind", _WORD),
        ("draw", _COUNT),
    ],
    _META,
)
_OF_ITEMS = ("task", "level", "cluster", "gold")
_ANSWER_SCHEMA = pa.schema(
    [
        *((name, _WORD) for name in ("item_id", "condition", "pass", *_OF_ITEMS, "read", "answer")),
        ("right", pa.bool_()),
        ("option_logprobs", pa.list_(pa.float32())),
        *((name, _TYPES[kind]) for name, (_, kind) in COLUMNS.items()),
    ],
    _META,
)
"""What is the same for all items of a run stands in items.parquet."""
_SCHEMAS = (_ITEM_SCHEMA, _CONDITION_SCHEMA, _ANSWER_SCHEMA)


def table_files(stem: str = ANSWERS) -> tuple[str, str, str]:
    """Names of the files of a table: those of `answers`, or `<stem>.parquet` with items and conditions of its own."""
    prefix = "" if stem == ANSWERS else f"{stem}_"
    return f"{prefix}{ITEMS}.parquet", f"{prefix}{CONDITIONS}.parquet", f"{stem}.parquet"


def write_table(folder: Path, table: AnswerTable, stem: str = ANSWERS) -> dict[str, str]:
    """Write the three files, each at once or not at all; file name -> sha256 of its bytes. The answers come last, so a
    folder that has them has all. Raises BackendError if it cannot be written."""
    items = pa.Table.from_pylist([vars(item) for item in table.items], _ITEM_SCHEMA)
    conditions = pa.Table.from_pylist([_condition_row(condition) for condition in table.conditions], _CONDITION_SCHEMA)
    parts = ([items], [conditions], _answer_parts(table))
    return {name: _write(folder / name, *part) for name, *part in zip(table_files(stem), _SCHEMAS, parts, strict=True)}


def read_table(folder: Path, stem: str = ANSWERS, *, bounded: bool = False) -> AnswerTable:
    """What `write_table` wrote, or another program of the same columns. If `bounded`, the files are somebody else's:
    they are bounded before they are unpacked, have exactly our columns, and what answers.parquet repeats of
    items.parquet is the same there. Raises DataError, naming the file, where one is missing, damaged, of another
    version, or where the answers are not one for each item and condition of a pass."""
    item_file, condition_file, answer_file = (folder / name for name in table_files(stem))
    files, limits = (item_file, condition_file, answer_file), (MOST_ITEMS, MOST_ITEMS, MOST_ANSWERS)
    item_rows, condition_rows, found = (
        _read(file, schema, most if bounded else None)
        for file, schema, most in zip(files, _SCHEMAS, limits, strict=True)
    )
    items = tuple(_item(row) for row in item_rows.to_pylist())
    conditions = tuple(_condition(row, condition_file) for row in condition_rows.to_pylist())
    kinds = found["pass"].cast(pa.string())
    of_pass = {name: found.filter(pc.equal(kinds, name)) for name in kinds.unique().to_pylist()}
    passes = {name: _answers(rows, items, answer_file) for name, rows in of_pass.items()}
    main = passes.pop("main", None)
    if main is None or main.names != tuple(condition.name for condition in conditions) or main.names[0] != BASELINE:
        raise damaged(answer_file, f"its conditions are not those of {condition_file.name}, the baseline first")
    table = AnswerTable(items, conditions, main, cast(dict[Pass, Answers], passes))
    if bounded and (column := _not_repeated(found, table)):
        raise damaged(answer_file, f"its column '{column}' does not say what {item_file.name} and the answers say")
    return table


def _not_repeated(found: pa.Table, table: AnswerTable) -> str | None:
    """The first column that is not what follows from the others."""
    start = 0
    for expected in _answer_parts(table):
        part = found.slice(start, len(expected))
        start += len(part)
        for name in (*_OF_ITEMS, "right"):
            kind = pa.bool_() if name == "right" else pa.string()
            if part[name].cast(kind).combine_chunks() != expected[name].cast(kind).combine_chunks():
                return name
    return None


def _write(path: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> str:
    with replacing(path) as partial:
        with pq.ParquetWriter(partial, schema, compression="zstd", version="2.6", store_schema=True) as writer:
            for part in parts:
                writer.write_table(part, row_group_size=_ROWS_A_GROUP)
        return file_hash(partial)


def _item(row: dict[str, Any]) -> AskedItem:
    for name in ("categories", "fields"):
        row[name] = tuple((pair["column"], pair["value"]) for pair in row[name] or ())
    for name in ("accepted", "options", "stops"):
        row[name] = tuple(row[name] or ())
    return AskedItem(**row)


def _condition_row(condition: AskedCondition) -> dict[str, Any]:
    spec = condition.spec
    edit = spec.edit and json.dumps(spec.edit.model_dump(mode="json"))
    return {**vars(condition), **condition.described, "sets": spec.sets, "edit": edit}


def _condition(row: dict[str, Any], path: Path) -> AskedCondition:
    try:
        edit = row["edit"] and json.loads(row["edit"])
        spec = ConditionSpec.model_validate({"name": row["condition"], "sets": row["sets"] or (), "edit": edit})
    except ValueError as error:
        raise damaged(path, f"condition '{row['condition']}' cannot be read: {error}") from error
    targets = None if row["targets"] is None else tuple(row["targets"])
    return AskedCondition(spec, row["content_hash"], targets, row["control_kind"], row["draw"])


def _answer_parts(table: AnswerTable) -> Iterator[pa.Table]:
    """The answers under some conditions of a pass at a time: a table of controls has millions of rows."""
    n_items = len(table.items)
    own = {name: pa.array([getattr(item, name) for item in table.items], _WORD) for name in ("item_id", *_OF_ITEMS)}
    counts = [len(item.options) for item in table.items]
    step = max(1, _ROWS_A_GROUP // max(1, n_items))
    for name, unordered in {"main": table.main, **table.passes}.items():
        answers = unordered.in_order()
        place = {word: code for code, word in enumerate(answers.vocabulary)}
        gold = np.array([place.get(item.gold, -1) for item in table.items])
        for start in range(0, len(answers.names), step):
            part = answers.take(slice(start, start + step))
            k = len(part.names)
            columns = {key: pa.concat_arrays([values] * k) for key, values in own.items()}
            columns["condition"] = _coded(np.repeat(np.arange(k), n_items), part.names)
            columns["pass"] = _coded(np.zeros(k * n_items), [name])
            columns["read"] = _coded(part.read, answers.vocabulary)
            columns["answer"] = _coded(part.answer, answers.vocabulary)
            columns["right"] = pa.array((part.answer == gold).ravel())
            columns["option_logprobs"] = _lists(part.option_logprobs, counts)
            for key, (_, kind) in COLUMNS.items():
                if key in part.columns:
                    values = part.columns[key].ravel()
                    missing = values < 0 if kind is np.int64 else None
                    columns[key] = pa.array(values, _TYPES[kind], mask=missing, from_pandas=True)
                else:
                    columns[key] = pa.nulls(k * n_items, _TYPES[kind])
            yield pa.Table.from_pydict(columns, _ANSWER_SCHEMA)


def _coded(codes: npt.NDArray[Any], words: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.ravel().astype(np.int32)), pa.array(words, pa.string()))


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


def _read(path: Path, schema: pa.Schema, most_rows: int | None) -> pa.Table:
    try:
        found = pq.read_table(path) if most_rows is None else read_bounded(path, schema, most_rows)
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
    if missing := [name for name in schema.names if name not in found.column_names]:
        raise damaged(path, f"the columns {', '.join(missing)} are missing")
    return found.select(schema.names)


def _answers(rows: pa.Table, items: Sequence[AskedItem], path: Path) -> Answers:
    words = (rows[name].cast(pa.string()).to_pylist() for name in ("item_id", "condition", "read", "answer"))
    item_ids, of_rows, read, answer = words
    names = tuple(dict.fromkeys(of_rows))
    shape = (len(names), len(items))
    in_order = of_rows == [name for name in names for _ in items]
    if not in_order or item_ids != [item.item_id for item in items] * len(names):
        raise damaged(path, "it does not hold one answer for each item and condition, in their order")
    vocabulary = tuple(sorted({*answer, *read}))
    place = {word: code for code, word in enumerate(vocabulary)}
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, (missing, kind) in COLUMNS.items():
        column = rows[name]
        if column.null_count < len(column):
            values = column.to_pylist() if missing is None else column.fill_null(missing).to_numpy()
            columns[name] = np.array(values, dtype=kind).reshape(shape)
    return Answers(
        names=names,
        vocabulary=vocabulary,
        read=np.array([place[word] for word in read], dtype=np.int32).reshape(shape),
        answer=np.array([place[word] for word in answer], dtype=np.int32).reshape(shape),
        option_logprobs=_padded(rows["option_logprobs"].combine_chunks(), shape),
        columns=columns,
    )


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
