"""Read files that anybody may have sent: whatever can be wrong with one is a DataError that names it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from vsc_eval.errors import DataError
from vsc_eval.specs import place_words

MOST_BYTES = 64 * 2**20
_MOST_YAML = 2**20
_MOST_NESTED = 60
_MOST_DIGITS = 19
"""Of an integer. One of 400 digits would become an infinite figure."""

RESTORE = "Restore the file from git, or publish the run again."


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises DataError if it has more than `most` bytes or cannot be read."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= most else b""
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
    if size > most:
        raise DataError(
            f"{path} has {size / 2**20:.0f} MiB; it may have {most // 2**20}.",
            hint="Publish the run without --with-pictures.",
        )
    return content


def read_json(path: Path, *, encoding: str = "utf-8") -> dict[str, Any]:
    """A JSON file of one object.

    Raises DataError, naming the file and the place, for one that is too large, is no JSON in that encoding, has a key
    twice or a number that is none.
    """
    try:
        document = json.loads(
            read_bytes(path).decode(encoding),
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
        # Half a character (a lone surrogate) is read, and can be written nowhere.
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: at byte {error.start}: not {encoding.upper()}.", hint=RESTORE) from error
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: a text in it holds half a character (a lone surrogate).", hint=RESTORE) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: at line {error.lineno}, column {error.colno}: no JSON: {error.msg}.", hint=RESTORE
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}: its lists and objects are nested too deep.", hint=RESTORE) from error
    except ValueError as error:
        raise DataError(f"{path}: {error}.", hint=RESTORE) from error
    return _mapping(path, document)


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
        layer = [inner for value in layer for inner in _members(value)]
    if layer:
        # Whoever walks through it would come to the end of the stack.
        raise DataError(f"{path}: its lists and objects are nested too deep.", hint=RESTORE)
    if not isinstance(document, dict):
        raise DataError(f"{path}: it holds a {type(document).__name__} and no keys and values.", hint=RESTORE)
    return document


def _members(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"at '{twice:.80}': the key is there twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"the number {text:.40} is too large")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text:.40} is too large")
    return number
