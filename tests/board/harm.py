"""Ways to harm a board's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vsc_eval.board.board import ENTRIES
from vsc_eval.board.entry.canonical import content_sha256

Document = dict[str, Any]


def file_of(board: Path, model: str = "model-b") -> Path:
    """The file of a model's only entry."""
    (found,) = (board / ENTRIES).glob(f"{model}-*.json")
    return found


def edit_entry(file: Path, change: Callable[[Document], None], *, reseal: bool = True) -> None:
    """Change an entry's file by hand; with `reseal`, by a hand that knows how to hash it anew."""
    document = json.loads(file.read_text())
    change(document)
    if reseal:
        document["sha256"] = content_sha256(document)
    file.write_text(json.dumps(document), encoding="utf-8")


def change_answer(document: Document) -> None:
    """Another answer to one item than the rows count."""
    column = document["items"]["answers"]["counting"]
    column[0] = "B" if column[0] != "B" else "C"
    document["logprobs"] = {}


def row(document: Document, condition: str, scope: str, **place: str) -> Document:
    for found in document["rows"]:
        key = (found["condition"], found["scope"], found.get("task"), found.get("level"))
        if key == (condition, scope, place.get("task"), place.get("level")):
            return dict_of(found)
    raise AssertionError((condition, scope, place))


def dict_of(value: Any) -> Document:
    assert isinstance(value, dict)
    return value
