"""The columns that a task file names, against those that the data has."""

from collections.abc import Iterable
from typing import Any

import datasets

from vsc_eval.errors import DataError, known_names
from vsc_eval.taskfiles.image import picture_columns
from vsc_eval.taskfiles.schema import INLINE, OWN_PLACEHOLDERS, TaskFile, placeholders, several

_SHOWN = 8


def _named_columns(file: TaskFile, score_columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """(key of the task file, column that it names), without a hook's."""
    fields = file.fields
    templates = [file.template(kind) for kind in file.kinds]
    named: dict[str, Iterable[str]] = {
        "fields.image": [fields.image],
        "fields.question": [fields.question],
        "fields.choices": () if fields.choices == INLINE else several(fields.choices),
        "fields.answer": [fields.answer],
        "fields.id": several(fields.id),
        "fields.other_images": fields.other_images,
        "kind_by.column": [file.kind_by.column] if file.kind_by else (),
        "report_by": file.report_by,
        "cluster_by": file.cluster_columns,
        "group.by": several(file.group.by),
        "filters": file.filters,
        "prompt": [n for text in templates for n in placeholders(text, "prompt") if n not in OWN_PLACEHOLDERS],
        f"score: {file.score}": score_columns,
    }
    return [(key, name) for key, names in named.items() for name in names]


def named_columns_only(file: TaskFile, rows: datasets.Dataset, score_columns: tuple[str, ...]) -> datasets.Dataset:
    """`rows` with the columns that are named, and every picture column, whose number is checked.

    Raises DataError, naming key and column, for a column that the data lacks.
    """
    named = _named_columns(file, score_columns)
    for key, name in named:
        _check_column(file, rows, key, name)
    wanted = {name for _, name in named} | set(picture_columns(rows))
    return rows.select_columns([name for name in rows.column_names if name in wanted])


def _check_column(file: TaskFile, rows: datasets.Dataset, key: str, name: str) -> None:
    if name not in rows.column_names:
        raise DataError(
            f"'{file.name}': {key}: the data has no column '{name}'.",
            hint=known_names("columns", name, rows.column_names),
        )


def kept_rows(file: TaskFile, rows: datasets.Dataset) -> list[int]:
    """Numbers of the rows that pass the filters. Raises DataError for a column or a value that is not in the data."""
    kept = list(range(len(rows)))
    for name, wanted in file.filters.items():
        _check_column(file, rows, "filters", name)
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        values = list(rows[name])
        for value in allowed:
            if not any(_same(value, found) for found in values):
                present = list(dict.fromkeys(map(str, values)))
                shown = ", ".join(present[:_SHOWN]) + (", ..." if len(present) > _SHOWN else "")
                yaml = " YAML reads yes, no, on and off without quotes as true or false."
                raise DataError(
                    f"'{file.name}': filters.{name}: no row has the value {value!r}.",
                    hint=f"The column holds: {shown}.{yaml if value in (True, False) else ''}",
                )
        kept = [index for index in kept if any(_same(value, values[index]) for value in allowed)]
    return kept


def _same(wanted: Any, found: Any) -> bool:
    """Equal as values, where 1 is not true; a number, true or false in YAML also fits the same as text."""
    if isinstance(found, str):
        return found.casefold() == str(wanted).casefold() if isinstance(wanted, bool) else found == str(wanted)
    return isinstance(wanted, bool) == isinstance(found, bool) and bool(wanted == found)
