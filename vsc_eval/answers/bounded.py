"""Read files that anybody may have sent, bounded before they are unpacked: what is wrong with one is a DataError that
names it."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from vsc_eval.errors import DataError
from vsc_eval.mistakes import place_words

MOST_BYTES = 64 * 2**20
MOST_ANSWERS = 2_000_000
MOST_ITEMS = 100_000
"""And conditions."""
_MOST_UNPACKED = 512 * 2**20
_MOST_YAML = 2**20
_MOST_NESTED = 60
_TOO_DEEP = "its lists and objects are nested too deep"
_MOST_DIGITS = 19
"""Of an integer. One of 400 digits would become an infinite figure."""
_ROWS_A_BATCH = 1 << 17
_NEVER_NULL = ("item_id", "condition", "pass", "task", "cluster", "cluster_kind", "gold", "read", "answer", "right",
               "scoring", "prompt_hash", "image_hash", "role", "content_hash", "group_size")  # fmt: skip

RESTORE = "Restore the file from git, or publish the run again."


def read_bounded(path: Path, schema: pa.Schema, most_rows: int) -> pa.Table:
    """The parquet file, if it is within the limits and has exactly these columns, without gaps where none may be: a
    small one can unpack to all memory. Raises DataError otherwise, and what pyarrow raises of a damaged file."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise damaged(path, f"it has {size / 2**20:.0f} MiB; it may have {MOST_BYTES >> 20}")
    with pq.ParquetFile(path) as file:
        there, about = file.schema_arrow, file.metadata
        if not there.equals(schema):
            odd = [field.name for field in there if field not in list(schema)]
            odd += [name for name in schema.names if name not in there.names]
            raise damaged(path, f"its columns are not those of such a file: {', '.join(odd)[:200] or 'their order'}")
        groups = [about.row_group(place) for place in range(about.num_row_groups)]
        unpacked = sum(g.column(place).total_uncompressed_size for g in groups for place in range(g.num_columns))
        if about.num_rows > most_rows or unpacked > _MOST_UNPACKED:
            raise damaged(path, f"it would unpack to {about.num_rows:,} rows and {unpacked / 2**20:,.0f} MiB")
        batches, size, rows = [], 0, 0
        # What the file says of itself need not be true.
        for batch in file.iter_batches(_ROWS_A_BATCH):
            batch.validate(full=True)
            batches.append(batch)
            size, rows = size + batch.nbytes, rows + len(batch)
            if rows > most_rows or size > _MOST_UNPACKED:
                raise damaged(path, "it unpacks to more than it says")
    found = pa.Table.from_batches(batches, there)
    if missing := [name for name in _NEVER_NULL if name in schema.names and found[name].null_count]:
        raise damaged(path, f"its column '{missing[0]}' has gaps")
    return found


def damaged(path: Path, why: str) -> DataError:
    """An error that names the file of a run."""
    return DataError(
        f"{path} is damaged: {why}.",
        hint="Give the command that made the run again: stored answers are not computed again. Or restore the file.",
    )


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises DataError if it has more than `most` bytes or cannot be read."""
    try:
        if (size := path.stat().st_size) > most:
            raise DataError(
                f"{path} has {size / 2**20:.0f} MiB; it may have {most // 2**20}.",
                hint="Publish the run without --with-pictures.",
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error


def read_json(path: Path, *, encoding: str = "utf-8") -> dict[str, Any]:
    """A JSON file of one object. Raises DataError, naming the file and the place, for one that is too large, is no JSON
    in that encoding, has a key twice or a number that is none."""
    numbers: dict[str, Any] = {"parse_constant": _finite, "parse_float": _finite, "parse_int": _whole}
    try:
        document = json.loads(read_bytes(path).decode(encoding), object_pairs_hook=_object, **numbers)
        # Half a character (a lone surrogate) is read, and can be written nowhere.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {_json_fault(error)}.", hint=RESTORE) from error
    return _mapping(path, document)


def _json_fault(error: ValueError | RecursionError) -> str:
    match error:
        case UnicodeDecodeError():
            return f"at byte {error.start}: not {error.encoding.upper()}"
        case UnicodeEncodeError():
            return "a text in it holds half a character (a lone surrogate)"
        case json.JSONDecodeError():
            return f"at line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
        case RecursionError():
            return _TOO_DEEP
    return str(error)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of keys and plain values, without aliases, of which a few lines can stand for all memory."""
    content = read_bytes(path, _MOST_YAML)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, loader)):
            raise DataError(f"{path}: it holds an alias, which no file of a run has.", hint=RESTORE)
        document = yaml.load(content, loader)
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, UnicodeError) as error:
        raise DataError(f"{path} cannot be read as YAML of plain values.", hint=RESTORE) from error
    return _mapping(path, document)


def fault(error: ValidationError) -> str:
    """The first place that does not fit a schema, and why."""
    first = error.errors(include_url=False)[0]
    return f"at '{place_words(first['loc'])}': {first['msg'].removeprefix('Value error, ')}"


def _mapping(path: Path, document: Any) -> dict[str, Any]:
    layer = [document]
    for _ in range(_MOST_NESTED):
        nested = [value for value in layer if isinstance(value, dict | list)]
        layer = [inner for value in nested for inner in (value.values() if isinstance(value, dict) else value)]
    if layer:
        # Whoever walks through it would come to the end of the stack.
        raise DataError(f"{path}: {_TOO_DEEP}.", hint=RESTORE)
    if not isinstance(document, dict):
        raise DataError(f"{path}: it holds a {type(document).__name__} and no keys and values.", hint=RESTORE)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"at '{twice:.80}': the key is there twice in one object")
    return found


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"the number {text:.40} is too large")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        named = text in ("NaN", "Infinity", "-Infinity")
        raise ValueError(f"{text} is no number in JSON" if named else f"the number {text:.40} is too large")
    return number
