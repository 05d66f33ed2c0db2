"""The columns that a task file names, against those that the data has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets

from vsc_eval.errors import DataError, known_names
from vsc_eval.taskfiles.image import picture_columns
from vsc_eval.taskfiles.schema import INLINE, TaskFile, placeholders

_OWN_PLACEHOLDERS = ("question", "options", "letters")
_SHOWN = 8


def named_columns(file: TaskFile, score_columns: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(key of the task file, column that it names), without a hook's."""
    fields = file.fields
    yield "fields.image", fields.image
    yield "fields.question", fields.question
    if fields.choices is not None and fields.choices != INLINE:
        yield from (("fields.choices", name) for name in _several(fields.choices))
    yield "fields.answer", fields.answer
    if fields.id is not None:
        yield "fields.id", fields.id
    yield from (("fields.other_images", name) for name in fields.other_images)
    if file.kind_by is not None:
        yield "kind_by.column", file.kind_by.column
    yield from (("report_by", name) for name in file.report_by)
    if file.cluster_by not in ("image", "group", "row"):
        yield from (("cluster_by", name) for name in _several(file.cluster_by))
    if file.group.by is not None:
        yield from (("group.by", name) for name in _several(file.group.by))
    yield from (("filters", name) for name in file.filters)
    for kind in file.kinds:
        for name in placeholders(file.template(kind), "prompt"):
            if name not in _OWN_PLACEHOLDERS:
                yield "prompt", name
    yield from ((f"score: {file.score}", name) for name in score_columns)


def check_columns(file: TaskFile, rows: datasets.Dataset, score_columns: tuple[str, ...]) -> None:
    """Raise DataError, naming key and column, for a column that the data lacks."""
    for key, name in named_columns(file, score_columns):
        if name not in rows.column_names:
            raise DataError(
                f"'{file.name}': {key}: the data has no column '{name}'.",
                hint=known_names("columns", name, rows.column_names),
            )


def needed_columns(file: TaskFile, rows: datasets.Dataset, score_columns: tuple[str, ...]) -> list[str]:
    """Columns to read, in the data's order: those that are named, and every picture column, whose number is checked."""
    wanted = {name for _, name in named_columns(file, score_columns)} | set(picture_columns(rows))
    return [name for name in rows.column_names if name in wanted]


def kept_rows(file: TaskFile, rows: datasets.Dataset) -> list[int]:
    """Numbers of the rows that pass the filters. Raises DataError for a column or a value that is not in the data."""
    kept = list(range(len(rows)))
    for name, wanted in file.filters.items():
        if name not in rows.column_names:
            raise DataError(
                f"'{file.name}': filters: the data has no column '{name}'.",
                hint=known_names("columns", name, rows.column_names),
            )
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        values = list(rows[name])
        for value in allowed:
            if not any(_same(value, found) for found in values):
                present = list(dict.fromkeys(map(str, values)))
                shown = ", ".join(present[:_SHOWN]) + (", ..." if len(present) > _SHOWN else "")
                hint = (
                    " YAML reads yes, no, on and off without quotes as true or false." if value in (True, False) else ""
                )
                raise DataError(
                    f"'{file.name}': filters.{name}: no row has the value {value!r}.",
                    hint=f"The column holds: {shown}.{hint}",
                )
        kept = [index for index in kept if any(_same(value, values[index]) for value in allowed)]
    return kept


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _same(wanted: Any, found: Any) -> bool:
    """Equal as values, where 1 is not true; a number, true or false in YAML also fits the same as text."""
    if isinstance(wanted, bool) and isinstance(found, str):
        return found.casefold() == str(wanted).casefold()
    if isinstance(wanted, bool) or isinstance(found, bool):
        return isinstance(wanted, bool) and isinstance(found, bool) and wanted == found
    return bool(wanted == found or (isinstance(found, str) and str(wanted) == found))
