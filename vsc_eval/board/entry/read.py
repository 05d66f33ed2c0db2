"""Read an entry's file, which anybody may have sent: whatever can be wrong with it is a DataError that names it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from vsc_eval.board.entry.canonical import content_sha256
from vsc_eval.board.entry.migrate import migrated
from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError
from vsc_eval.specs import place_words

MAX_BYTES = 64 * 2**20

_MOST_DIGITS = 19
"""Of an integer. One of 400 digits would become an infinite figure."""

_RESTORE = "Restore the file from git, or publish the run again."


def read_entry(path: Path) -> Entry:
    """The entry of a file, migrated to the current schema.

    Raises DataError, naming the file, the place and the hint, for one that is too large, is no JSON, has a key twice or
    a number that is none, does not fit the schema, or is not what was hashed when it was written.
    """
    document = read_document(path)
    stored = document.get("sha256")
    # What was written is hashed, and not what a migration makes of it.
    if isinstance(stored, str) and stored != content_sha256(document):
        raise DataError(
            f"{path}: at 'sha256': the entry is not what was published: its content hashes to "
            f"{content_sha256(document)[:10]}..., not {stored[:10]!r}...",
            hint=f"Entries are not edited by hand. {_RESTORE}",
        )
    document = migrated(document, str(path))
    try:
        # As JSON, because strictness then takes a list for a tuple and still no "5" for a 5.
        return Entry.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise DataError(f"{path}: {_fault(error)}.", hint=_RESTORE) from error


def read_document(path: Path) -> dict[str, Any]:
    """The plain data of a file, whatever its schema version. Raises DataError as `read_entry` does."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the file.") from error
    if size > MAX_BYTES:
        raise DataError(
            f"{path} has {size / 2**20:.0f} MiB; an entry may have {MAX_BYTES // 2**20}.",
            hint="Publish the run without --with-pictures.",
        )
    try:
        document = json.loads(
            _ascii(content), object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: at byte {error.start}: not ASCII, in which entries are written.", hint=_RESTORE
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: at line {error.lineno}, column {error.colno}: no JSON: {error.msg}.", hint=_RESTORE
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}: its lists and objects are nested too deep.", hint=_RESTORE) from error
    except ValueError as error:
        raise DataError(f"{path}: {error}.", hint=_RESTORE) from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: it holds a {type(document).__name__} and no entry.", hint=_RESTORE)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"at '{twice:.80}': the key is there twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _ascii(content: bytes) -> str:
    """As `entry_text` writes it: what a diff shows is what is there."""
    return content.decode("ascii")


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"the number {text:.40} is too large")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text:.40} is too large")
    return number


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        # What Python reads and pydantic does not; the line and column are not of the file.
        is_half = "escape" in message or "surrogate" in message
        return "a text in it holds half a character (a lone surrogate)" if is_half else message.split(" at line ")[0]
    return f"at '{place_words(first['loc'])}': {message}"
