"""A raw row of a data set -> a question with its right answer. Pure: pictures are the loader's business."""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from vsc_eval.errors import DataError
from vsc_eval.extract import INVALID, extract
from vsc_eval.records import Record
from vsc_eval.taskfiles.inline import inline_options
from vsc_eval.taskfiles.literals import text_list
from vsc_eval.taskfiles.schema import INLINE, Kind, TaskFile, placeholders

IMAGE_SLOT = "<image>"

_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


class TaskRow(Record):
    """One question. Everything is text, so that it can be stored and hashed."""

    id: str
    """Unique within the task: `<name>/<value of fields.id, or the row's number>`."""
    kind: Kind
    prompt: str
    options: tuple[str, ...] = ()
    """Texts of the options; empty unless it is multiple choice."""
    letters: tuple[str, ...] = ()
    """A, B, C ... for each option."""
    gold: str
    """The right answer as the extractor writes answers: a letter, `yes` or `no`, a number or a short text."""
    accepted: tuple[str, ...] = ()
    """All answers that count as right, `gold` first."""
    categories: dict[str, str] = Field(default_factory=dict)
    """Column of `report_by` -> value."""
    cluster: str | None = None
    """Value of `cluster_by` where that names columns; None: the loader knows it (picture, group, row)."""
    group: str | None = None
    """Value of `group.by`, or the number of the block of `group.every`."""
    fields: dict[str, str] = Field(default_factory=dict)
    """Columns that the official metric needs."""


def to_task_row(file: TaskFile, row: Mapping[str, Any], index: int, *, score_columns: tuple[str, ...] = ()) -> TaskRow:
    """Read one row. `index` is its number in the data set, from 0; `score_columns` are copied into `fields`.

    Raises DataError, naming the row and the column, for what does not fit: a missing column, an empty question, a right
    answer that is not among the options, options that cannot be read.
    """
    row_id = _row_id(file, row, index)
    question = _text(_column(row, file.fields.question, row_id), file.fields.question, row_id)
    kind = _kind(file, row, row_id)
    options: tuple[str, ...] = ()
    if kind == "multiple_choice":
        options = _options(file, row, question, row_id)
        if not options and file.without_options is not None:
            kind = file.without_options
        elif len(options) < 2:
            raise _no_options(file, question, len(options), row_id)
    letters = tuple(string.ascii_uppercase[: len(options)])
    accepted = _accepted(file, row, kind, options, letters, row_id)
    return TaskRow(
        id=row_id,
        kind=kind,
        prompt=_prompt(file, kind, row, question, options, letters, row_id),
        options=options,
        letters=letters,
        gold=accepted[0],
        accepted=accepted,
        categories={name: _label(_column(row, name, row_id)) for name in file.report_by},
        cluster=_cluster(file, row, row_id),
        group=group_of(file, row, index),
        fields={name: _label(_column(row, name, row_id)) for name in score_columns},
    )


def _row_id(file: TaskFile, row: Mapping[str, Any], index: int) -> str:
    if file.fields.id is None:
        return f"{file.name}/{index}"
    value = _column(row, file.fields.id, f"{file.name}/{index}")
    if value is None or value == "":
        raise DataError(
            f"Row {index} of '{file.name}' has nothing in column '{file.fields.id}'.",
            hint="Leave `fields.id` out: rows are then named by their number.",
        )
    return f"{file.name}/{value}"


def _column(row: Mapping[str, Any], name: str, row_id: str) -> Any:
    if name not in row:
        raise DataError(f"Row '{row_id}' has no column '{name}'.", hint=f"The columns are: {', '.join(map(str, row))}.")
    return row[name]


def _text(value: Any, column: str, row_id: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"Row '{row_id}': column '{column}' holds {_short(value)} where a text is expected.",
            hint="Name the column with the text, or leave such rows out with `filters`.",
        )
    return _disarmed(value)


def _disarmed(text: str) -> str:
    """`text` without a picture's slot at either end; one inside becomes words, or lm-eval would want its picture."""
    text = text.strip()
    while text.startswith(IMAGE_SLOT) or text.endswith(IMAGE_SLOT):
        text = text.removeprefix(IMAGE_SLOT).removesuffix(IMAGE_SLOT).strip()
    return text.replace(IMAGE_SLOT, "< image>")


def _kind(file: TaskFile, row: Mapping[str, Any], row_id: str) -> Kind:
    if file.kind_by is None:
        return file.kind
    value = _label(_column(row, file.kind_by.column, row_id))
    if value not in file.kind_by.values:
        raise DataError(
            f"Row '{row_id}': column '{file.kind_by.column}' holds '{value}', which `kind_by.values` does not name.",
            hint=f"Add it there; known: {', '.join(file.kind_by.values)}.",
        )
    return file.kind_by.values[value]


def _options(file: TaskFile, row: Mapping[str, Any], question: str, row_id: str) -> tuple[str, ...]:
    choices = file.fields.choices
    if choices == INLINE:
        return inline_options(question)
    if isinstance(choices, tuple):
        where, found = " + ".join(choices), [_column(row, name, row_id) for name in choices]
        # Of four columns, a question with three options leaves the last empty.
        while found and found[-1] in (None, ""):
            found.pop()
    else:
        assert choices is not None
        where, value = choices, _column(row, choices, row_id)
        if value is None:
            return ()
        listed = text_list(value)
        if listed is None:
            raise DataError(
                f"Row '{row_id}': column '{choices}' holds {_short(value)}, which is no list of options.",
                hint="Name a column with a list, several columns as [A, B, C, D], or write `choices: inline`.",
            )
        found = listed
    options = tuple(_disarmed(_label(value)) for value in found)
    if len(options) > len(string.ascii_uppercase):
        raise DataError(
            f"Row '{row_id}' has {len(options)} options in '{where}', more than there are letters.",
            hint="Leave the row out with `filters`, or use kind: short_text.",
        )
    for value, option in zip(found, options, strict=True):
        if value is None or not option:
            raise DataError(
                f"Row '{row_id}' has an empty option in '{where}'.", hint="Leave the row out with `filters`."
            )
    return options


def _no_options(file: TaskFile, question: str, n: int, row_id: str) -> DataError:
    where = f"column '{file.fields.question}'" if file.fields.choices == INLINE else f"'{file.fields.choices}'"
    return DataError(
        f"Row '{row_id}' has {n or 'no'} option{'' if n == 1 else 's'} in {where}: {_short(question)}",
        hint="If such rows are answered freely, write `without_options: short_text`; else drop them with `filters`.",
    )


def _accepted(
    file: TaskFile,
    row: Mapping[str, Any],
    kind: Kind,
    options: tuple[str, ...],
    letters: tuple[str, ...],
    row_id: str,
) -> tuple[str, ...]:
    column = file.fields.answer
    value = _column(row, column, row_id)
    if kind == "multiple_choice":
        return (_letter(file, value, options, letters, row_id),)
    if kind == "yes_no":
        answer = _label(value).strip().rstrip(".").casefold()
        if answer not in (*_YES, *_NO):
            raise DataError(
                f"Row '{row_id}': column '{column}' holds {_short(value)}, which is neither yes nor no.",
                hint="Use another kind, or leave such rows out with `filters`.",
            )
        return ("yes" if answer in _YES else "no",)
    found = [_label(part).strip() for part in (value if isinstance(value, list | tuple) else [value])]
    if not any(found):
        raise DataError(f"Row '{row_id}' has no answer in column '{column}'.", hint="Leave the row out with `filters`.")
    readable = [read for part in found if part and (read := extract(part, kind=kind)) != INVALID]
    # Two unreadable answers would otherwise be equal, and so right.
    if not readable:
        raise DataError(
            f"Row '{row_id}': the answer {_short(value)} in column '{column}' cannot be read as {kind}.",
            hint="Use another kind, or leave such rows out with `filters`.",
        )
    return tuple(dict.fromkeys(readable))


def _letter(file: TaskFile, value: Any, options: tuple[str, ...], letters: tuple[str, ...], row_id: str) -> str:
    """The letter of the right option."""
    text = _label(value).strip()
    place: int | None = None
    if file.answer_format in ("letter", "paren_letter"):
        bare = re.fullmatch(r"\(?([A-Za-z])[).:]?\.?", text)
        place = letters.index(bare[1].upper()) if bare and bare[1].upper() in letters else None
    elif file.answer_format == "text":
        same = [i for i, option in enumerate(options) if option.strip() == text]
        same = same or [i for i, option in enumerate(options) if option.strip().casefold() == text.casefold()]
        place = same[0] if len(same) == 1 else None
    elif re.fullmatch(r"\d+(\.0+)?", text):
        number = int(float(text)) - (file.answer_format == "index1")
        place = number if 0 <= number < len(options) else None
    if place is None:
        shown = ", ".join(f"{letter}. {_short(option)}" for letter, option in zip(letters, options, strict=True))
        raise DataError(
            f"Row '{row_id}': the answer {_short(value)} in column '{file.fields.answer}' is, read as"
            f" '{file.answer_format}', not exactly one of the options {shown}.",
            hint="Check `answer_format` (letter, paren_letter, index, index1 or text) and `fields.answer`.",
        )
    return letters[place]


def _prompt(
    file: TaskFile,
    kind: Kind,
    row: Mapping[str, Any],
    question: str,
    options: tuple[str, ...],
    letters: tuple[str, ...],
    row_id: str,
) -> str:
    template = file.template(kind)
    own = {
        "question": question,
        "options": "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True)),
        "letters": ", ".join(letters),
    }
    names = placeholders(template, "prompt")
    values = {n: own[n] if n in own else _disarmed(_label(_column(row, n, row_id))) for n in names}
    return template.format_map(values).strip()


def _cluster(file: TaskFile, row: Mapping[str, Any], row_id: str) -> str | None:
    if file.cluster_by in ("image", "group", "row"):
        return None
    names = (file.cluster_by,) if isinstance(file.cluster_by, str) else file.cluster_by
    return _joined(row, names, row_id, "cluster_by")


def group_of(file: TaskFile, row: Mapping[str, Any], index: int) -> str | None:
    """The group of a row, None if the file declares none. Raises DataError for a missing column."""
    if file.group.every is not None:
        return str(index // file.group.every)
    if file.group.by is None:
        return None
    names = (file.group.by,) if isinstance(file.group.by, str) else file.group.by
    return _joined(row, names, f"{file.name}/{index}", "group.by")


def _joined(row: Mapping[str, Any], names: tuple[str, ...], row_id: str, key: str) -> str:
    """Raises DataError if all cells are empty: rows that have nothing there have nothing in common."""
    labels = [_label(_column(row, name, row_id)) for name in names]
    if not any(labels):
        raise DataError(
            f"Row '{row_id}' has nothing in column '{' + '.join(names)}', which `{key}` names.",
            hint="Name a column that every row fills, or leave such rows out with `filters`.",
        )
    return " / ".join(labels)


def _label(value: Any) -> str:
    """A value as text: whole floats without their point, lists and dicts as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
