"""Ways to harm a board's files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.finished_run import RESULTS, RUN
from vsc_eval.answers.parquet import read_table, write_table
from vsc_eval.board.entry_files import ABOUT, content_sha256
from vsc_eval.board.spec import ENTRIES
from vsc_eval.files import file_hash

Document = dict[str, Any]
Change = Callable[[Document], None]


def folder_of(board: Path, model: str = "model-b") -> Path:
    """The folder of a model's only entry."""
    (found,) = (board / ENTRIES).glob(f"{model}-*")
    return found


def reseal(folder: Path) -> None:
    """Hash the files anew, as a hand does that knows how."""
    document = json.loads((folder / ABOUT).read_text())
    files = sorted(file for file in folder.iterdir() if file.name != ABOUT)
    document["files"] = {file.name: file_hash(file) for file in files}
    document["sha256"] = content_sha256(document)
    (folder / ABOUT).write_text(json.dumps(document))


def edit_json(folder: Path, change: Change, *, name: str = RESULTS, sealed: bool = True) -> None:
    """Change one of an entry's JSON files by hand."""
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))
    if sealed:
        reseal(folder)


def edit_about(folder: Path, change: Change, *, sealed: bool = True) -> None:
    edit_json(folder, change, name=ABOUT, sealed=sealed)


def edit_run(folder: Path, change: Change) -> None:
    document = yaml.safe_load((folder / RUN).read_text())
    change(document)
    (folder / RUN).write_text(yaml.safe_dump(document, sort_keys=False))
    reseal(folder)


def edit_table(folder: Path, change: Callable[[AnswerTable], AnswerTable]) -> None:
    """Another table of answers in the place of the entry's."""
    write_table(folder, change(read_table(folder)))
    reseal(folder)


def edit_item(place: int, **fields: Any) -> Callable[[AnswerTable], AnswerTable]:
    def change(table: AnswerTable) -> AnswerTable:
        items: list[AskedItem] = list(table.items)
        items[place] = dataclasses.replace(items[place], **fields)
        return dataclasses.replace(table, items=tuple(items))

    return change


def edit_answer(condition: str, place: int, word: str | None = None) -> Callable[[AnswerTable], AnswerTable]:
    """Another answer to one item than the rows count, by default another letter, and as likely as it must be."""

    def change(table: AnswerTable) -> AnswerTable:
        main, row = table.main, table.main.rows[condition]
        words = main.vocabulary if word is None or word in main.vocabulary else (*main.vocabulary, word)
        answer, logprobs = main.answer.copy(), main.option_logprobs.copy()
        new = word or next(letter for letter in "BC" if letter != words[answer[row, place]])
        answer[row, place] = words.index(new)
        if new in "ABCD":
            logprobs[row, place] = np.log([0.7 if letter == new else 0.05 for letter in "ABCD"])
        changed = dataclasses.replace(main, vocabulary=words, answer=answer, read=answer, option_logprobs=logprobs)
        return dataclasses.replace(table, main=changed)

    return change


def row(document: Document, condition: str, scope: str, **place: str) -> Document:
    for found in document["rows"]:
        key = (found["condition"], found["scope"], found.get("task"), found.get("level"))
        if key == (condition, scope, place.get("task"), place.get("level")):
            assert isinstance(found, dict)
            return found
    raise AssertionError((condition, scope, place))
