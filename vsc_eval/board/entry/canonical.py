"""The one way in which an entry is written, so that the same entry is the same bytes on every machine.

ASCII only: what a reviewer sees in a diff is what is there, with no invisible or reordered characters. One row, column
or condition a line, so that a diff names what changed. Floats have six significant digits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError

DIGITS = 6
"""Significant digits of floats. Shares of fewer than 100,000 items stay distinct."""

_AS_GIVEN = ("provenance",)
"""Sections whose numbers are settings, which are not rounded."""


def entry_document(entry: Entry) -> dict[str, Any]:
    """The entry as plain data, floats rounded; fields that have their default value are left out."""
    document = {"schema_version": entry.schema_version, **entry.model_dump(mode="json", exclude_defaults=True)}
    return {key: value if key in _AS_GIVEN else _rounded(value) for key, value in document.items()}


def content_sha256(document: Mapping[str, Any]) -> str:
    """sha256 (hex) of all of an entry's plain data but `sha256` itself. Layout and order of keys do not matter."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    payload = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(payload.encode("ascii")).hexdigest()


def entry_sha256(entry: Entry) -> str:
    """What `entry.sha256` must be."""
    return content_sha256(entry_document(entry))


def entry_text(entry: Entry) -> str:
    """The content of the entry's file."""
    return "{\n" + ",\n".join(f"{_json(k)}: {_block(v)}" for k, v in entry_document(entry).items()) + "\n}\n"


def _block(value: Any, depth: int = 0) -> str:
    """Objects of objects or lists, and lists of objects, one member a line; anything else on one line."""
    if isinstance(value, dict) and value and depth < 2 and (depth == 0 or _is_nested(value.values())):
        lines = [f"{_json(key)}: {_block(inner, depth + 1)}" for key, inner in value.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        return "[\n" + ",\n".join(_json(inner) for inner in value) + "\n]"
    return _json(value)


def _is_nested(values: Any) -> bool:
    return any(isinstance(value, dict | list) for value in values)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(
                f"A figure of the entry is {value}, which JSON cannot hold.",
                hint="Make the run again with this version; if that does not help, report it.",
            )
        # Adding 0.0 makes -0.0 the 0.0 that it equals.
        return float(f"{value:.{DIGITS}g}") + 0.0
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(inner) for inner in value]
    return value
