"""`vsc-eval tasks new`: a first task file from the columns of a data set.

What it writes is a guess that says so; `vsc-eval tasks check` tells whether it fits.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import datasets
import yaml

from vsc_eval.errors import DataError, SpecError, VscError
from vsc_eval.extract import INVALID, Kind, extract
from vsc_eval.files import write_text
from vsc_eval.taskfiles.image import picture_columns, undecoded
from vsc_eval.taskfiles.read import validated
from vsc_eval.taskfiles.rows import inline_options, text_list, to_document
from vsc_eval.taskfiles.schema import INLINE, AnswerFormat, TaskFile
from vsc_eval.taskfiles.source import load_rows

_QUESTION = ("question", "query", "prompt", "instruction", "text", "problem")
_ANSWER = ("answer", "gt_answer", "ground_truth", "label", "target", "correct_answer", "answers", "gold", "solution")
_CHOICES = ("choices", "options", "candidates", "multiple_choices")
_PICTURE = ("image", "image_1", "img", "picture", "decoded_image", "image_path", "file_name")
_ID = ("id", "question_id", "idx", "index", "pid", "qid", "uid")
_CATEGORY = ("category", "task", "type", "source", "split", "subject", "topic", "skill", "sub_task", "l2_category")
_LOOKED_AT = 50
_MOST_CATEGORIES = 30
_SHARE = 0.9
"""Of the rows that a guess has to fit."""


def new_task_file(
    name: str, dataset: Mapping[str, Any], path: Path, *, force: bool = False
) -> tuple[TaskFile, list[str]]:
    """Read the columns of `dataset` (keys of a task file's `dataset`) and write a first task file to `path`.

    Returns it with remarks for the user. Raises SpecError for a bad name or an existing file, DataError for data that
    cannot be read or without a picture, question or answer column.
    """
    if path.exists() and not force:
        raise SpecError(f"{path} is there already.", hint="Choose another --out, or write --force.")
    no_fields = {"image": "-", "question": "-", "answer": "-"}
    draft = validated({"name": name, "dataset": dataset, "kind": "short_text", "fields": no_fields}, "A new task")
    rows = undecoded(load_rows(draft))
    sample = [rows[index] for index in range(min(_LOOKED_AT, len(rows)))]
    if not sample:
        raise DataError(f"The data set {dataset['path']} has no rows.", hint="Choose another split.")
    raw, remarks = _guessed(rows, sample)
    raw = {"schema_version": 1, "name": name, "dataset": dict(dataset), **raw}
    file = validated(raw, "The guess")
    write_text(path, _text(raw, path, rows.column_names))
    return file, remarks


def _guessed(rows: datasets.Dataset, sample: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The keys `kind`, `fields` and so on that fit most of `sample`, and remarks. Raises DataError, listing the
    columns, if there is no picture, question or answer."""
    remarks: list[str] = []
    columns, pictures = rows.column_names, list(picture_columns(rows))
    image = _pick(_PICTURE, pictures) or (pictures[0] if pictures else _pick(_PICTURE, columns))
    question = _pick(_QUESTION, [name for name in columns if isinstance(sample[0][name], str)])
    answer = _pick(_ANSWER, [name for name in columns if name not in (image, question)])
    if image is None or question is None or answer is None:
        what = "picture" if image is None else "question" if question is None else "answer"
        raise DataError(
            f"No column looks like the {what}.",
            hint=f"Write the file by hand, see docs/datasets.md; the columns are: {', '.join(columns)}.",
        )
    choices = _choices(rows, sample, question)
    fields = {"image": image, "question": question, "choices": choices, "answer": answer}
    fields = {key: value for key, value in fields.items() if value is not None}
    row_id = _pick(_ID, columns)
    if row_id is not None and len({str(row[row_id]) for row in sample}) == len(sample):
        fields["id"] = row_id
    taken = {image, question, answer} if choices else set(fields.values())
    if others := [name for name in pictures if name != image]:
        fields["other_images"] = others
        remarks.append(
            f"Left out: the pictures in {', '.join(others)}. If questions are about several, they cannot be asked."
        )
    raw = _kind(fields, sample, remarks)
    if categories := _categories(rows, sample, taken):
        raw["report_by"] = categories
    return raw, remarks


def _pick(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """The first of `wanted` that is a column, whatever its capitals."""
    folded = {name.casefold(): name for name in reversed(names)}
    return next((folded[name] for name in wanted if name in folded), None)


def _choices(rows: datasets.Dataset, sample: Sequence[Mapping[str, Any]], question: str) -> Any:
    column = _pick(_CHOICES, rows.column_names)
    if column is not None and _most(text_list(row[column]) is not None for row in sample):
        return column
    for pattern in (r"[A-J]", r"(?:option|choice)_?[a-jA-J0-9]"):
        columns = [name for name in rows.column_names if re.fullmatch(pattern, name)]
        if len(columns) > 1:
            return columns
    return INLINE if sum(len(inline_options(row[question])) > 1 for row in sample) > len(sample) / 2 else None


def _kind(fields: dict[str, Any], sample: Sequence[Mapping[str, Any]], remarks: list[str]) -> dict[str, Any]:
    """`kind`, `fields` and `answer_format`."""
    answers = [row[fields["answer"]] for row in sample]
    if "choices" in fields:
        found: dict[str, Any] = {"kind": "multiple_choice", "fields": fields}
        formats: tuple[AnswerFormat, ...] = get_args(AnswerFormat)
        fits = {name: _fitting({**found, "answer_format": name}, sample) for name in formats}
        best = max(fits, key=lambda name: fits[name])
        if fits[best] < len(sample):
            remarks.append(f"{len(sample) - fits[best]} of the first {len(sample)} rows do not fit; run the check.")
        # 0 never occurs in answers that count from 1, and the last number never in those from 0.
        if best == "index" and fits["index"] == fits["index1"]:
            remarks.append("It is not clear whether the answers count from 0 (index) or from 1 (index1): look.")
        return {**found, "answer_format": best}
    kinds: tuple[Kind, ...] = ("yes_no", "number")
    for kind in kinds:
        if _most(extract(str(value), kind=kind) != INVALID for value in answers):
            return {"kind": kind, "fields": fields}
    return {"kind": "short_text", "fields": fields}


def _fitting(raw: Mapping[str, Any], sample: Sequence[Mapping[str, Any]]) -> int:
    """How many rows a guess fits."""
    file = validated({"name": "guess", "dataset": {"path": "-"}, **raw}, "The guess")
    n = 0
    for index, row in enumerate(sample):
        with suppress(VscError):
            to_document(file, row, index)
            n += 1
    return n


def _categories(rows: datasets.Dataset, sample: Sequence[Mapping[str, Any]], taken: set[Any]) -> list[str]:
    columns = (_pick([wanted], rows.column_names) for wanted in _CATEGORY)
    texts = [name for name in columns if name and name not in taken and isinstance(sample[0][name], str)]
    most = min(_MOST_CATEGORIES, len(rows) - 1)
    return [name for name in texts if 1 < len(set(rows[name])) <= most]


def _most(flags: Iterable[bool]) -> bool:
    values = list(flags)
    return sum(values) >= _SHARE * len(values)


def _text(raw: Mapping[str, Any], path: Path, columns: Sequence[str]) -> str:
    lines = [f"# A first guess from the columns {', '.join(columns)}.", f"# Check it: vsc-eval tasks check {path}"]
    for key, value in raw.items():
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000, allow_unicode=True)
        lines.append(f"{key}: {text.strip()}".removesuffix("\n..."))
    lines.append("licence:  # of the data")
    return "\n".join(lines) + "\n"
