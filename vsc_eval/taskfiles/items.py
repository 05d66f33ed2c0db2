"""From the rows of a data set to lm-eval's documents: filtered, limited, every picture decoded once, groups whole."""

import importlib
import runpy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets

from vsc_eval.errors import DataError, SpecError, known_names
from vsc_eval.files import picture_hash, short_hash
from vsc_eval.taskfiles.image import Pictures, UndecodableError, encoded_pictures, picture_columns, undecoded
from vsc_eval.taskfiles.rows import group_of, to_document
from vsc_eval.taskfiles.schema import INLINE, OWN_PLACEHOLDERS, DataReport, LeftOut, TaskFile, placeholders, several

Hook = Callable[[dict[str, Any]], Mapping[str, Any]]
Progress = Callable[[int, int], None]
"""Called with (rows read, rows to read)."""

_ERRORS_SHOWN = 3
_VALUES_SHOWN = 8


@dataclass(frozen=True)
class ExternalData:
    """The questions of one task file."""

    file: TaskFile
    documents: tuple[dict[str, Any], ...]
    pictures: Pictures
    report: DataReport


def read_rows(
    file: TaskFile,
    rows: datasets.Dataset,
    *,
    folder: Path | None,
    score_columns: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> ExternalData:
    """Turn `rows` into questions.

    `folder` is where relative picture paths begin, `score_columns` are the columns of the official metric.

    Raises DataError for a missing column, rows with several pictures, rows that do not fit, or nothing left to ask.
    """
    hook = load_hook(file)
    n_rows = len(rows)
    rows = undecoded(rows)
    if hook is None:
        rows = _named_columns_only(file, rows, score_columns)
    kept = _kept_rows(file, rows)
    groups = _groups(file, rows, kept, hook)
    if groups:
        # The rows of each group together, groups as they first come: a limit then cuts one group at most.
        ranks = {group: rank for rank, group in enumerate(dict.fromkeys(groups.values()))}
        kept = sorted(kept, key=lambda index: ranks[groups[index]])
    chosen = kept[: file.limit]
    pictures = Pictures(rows, file.fields.image, folder, file.pixels)
    others = [name for name in picture_columns(rows) if name not in (file.fields.image, *file.fields.other_images)]
    found: dict[int, dict[str, Any]] = {}
    undecodable: list[LeftOut] = []
    wrong: list[DataError] = []
    for done, index in enumerate(chosen, start=1):
        raw = rows[index]
        try:
            doc = to_document(file, _hooked(hook, raw, file, index), index, score_columns=score_columns)
            _one_picture_only(file, raw, others, doc["id"])
            image = picture_hash(pictures.decode(index))
            doc |= {"image": image, "image_size": list(pictures.sizes[index]), "cluster": doc["cluster"] or image}
            found[index] = doc
        except UndecodableError as error:
            undecodable.append(LeftOut(id=doc["id"], reason=str(error)))
        except DataError as error:
            wrong.append(error)
        if progress:
            progress(done, len(chosen))
    if wrong:
        raise _rows_error(file, wrong, len(chosen))
    # How many rows a group has when it is whole.
    whole = dict.fromkeys(groups.values(), file.group.every) if file.group.every else Counter(groups.values())
    present = Counter(groups[index] for index in found if groups)
    incomplete = [index for index in found if groups and present[groups[index]] < whole[groups[index]]]
    left_out = tuple(LeftOut(id=found.pop(index)["id"], reason=groups[index]) for index in incomplete)
    _check_left(file, [doc["id"] for doc in found.values()], len(chosen), undecodable)
    # What is asked, wherever the data lie: the hash stands in every document, and lm-eval logs their hashes.
    asked = [f"{index}\0{doc['id']}\0{doc['image']}\0" for index, doc in found.items()]
    key = short_hash(file.model_dump_json(exclude={"dataset"}), *asked)
    for index, doc in found.items():
        doc |= {"group_size": whole[groups[index]] if groups else 0, "vsc_source": key}
    source = file.dataset
    revision = f"at {source.revision}" if source.revision else None
    report = DataReport(
        task=file.task_name,
        source=" ".join(filter(None, (source.path, source.config, source.split, revision))),
        n_rows=n_rows,
        n_items=len(found),
        n_filtered_out=n_rows - len(kept),
        n_beyond_limit=len(kept) - len(chosen),
        undecodable=tuple(undecodable),
        incomplete=left_out,
    )
    return ExternalData(file=file, documents=tuple(found.values()), pictures=pictures, report=report)


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


def _named_columns_only(file: TaskFile, rows: datasets.Dataset, score_columns: tuple[str, ...]) -> datasets.Dataset:
    """`rows` with the columns that are named, and every picture column, whose number is checked. Raises DataError,
    naming key and column, for a column that the data lacks."""
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


def _kept_rows(file: TaskFile, rows: datasets.Dataset) -> list[int]:
    """Numbers of the rows that pass the filters. Raises DataError for a column or a value that is not in the data."""
    kept = list(range(len(rows)))
    for name, wanted in file.filters.items():
        _check_column(file, rows, "filters", name)
        allowed, values = wanted if isinstance(wanted, tuple) else (wanted,), list(rows[name])
        for value in allowed:
            if not any(_same(value, found) for found in values):
                present = list(dict.fromkeys(map(str, values)))
                shown = ", ".join(present[:_VALUES_SHOWN]) + (", ..." if len(present) > _VALUES_SHOWN else "")
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


def load_hook(file: TaskFile) -> Hook | None:
    """The function that `hook` names. Raises SpecError if it cannot be imported."""
    if file.hook is None:
        return None
    place, _, name = file.hook.rpartition(":")
    try:
        is_file = place.endswith(".py")
        module = SimpleNamespace(**runpy.run_path(place)) if is_file else importlib.import_module(place)
        function: Hook = getattr(module, name)
    except (ImportError, OSError, SyntaxError, AttributeError) as error:
        raise SpecError(
            f"'{file.name}': hook: {file.hook} cannot be imported: {error}.",
            hint="Write `module:function`, or `file.py:function` with a file beside the task file.",
        ) from error
    return function


def _hooked(hook: Hook | None, raw: dict[str, Any], file: TaskFile, index: int) -> Mapping[str, Any]:
    if hook is None:
        return raw
    try:
        found = hook(dict(raw))
    # Foreign code may raise anything; it is reported with the row that it met.
    except Exception as error:
        raise DataError(
            f"Row {index} of '{file.name}': the hook {file.hook} raised {type(error).__name__}: {error}.",
            hint="Fix the hook, or leave the row out with `filters`.",
        ) from error
    if not isinstance(found, Mapping):
        raise DataError(
            f"Row {index} of '{file.name}': the hook {file.hook} returned {type(found).__name__}.",
            hint="It has to return a dict of columns.",
        )
    return found


def _groups(file: TaskFile, rows: datasets.Dataset, kept: Sequence[int], hook: Hook | None) -> dict[int, str]:
    """Row -> its group, read without the pictures; {} if none is declared."""
    if not file.group.is_declared:
        return {}
    plain = rows.remove_columns(list(picture_columns(rows)))
    groups = ((index, group_of(file, _hooked(hook, plain[index], file, index), index)) for index in kept)
    return {index: group for index, group in groups if group is not None}


def _one_picture_only(file: TaskFile, raw: Mapping[str, Any], others: Sequence[str], row_id: str) -> None:
    column = file.fields.image
    n = len(encoded_pictures(raw[column]))
    if n != 1:
        raise DataError(
            f"Row '{row_id}' has {f'{n} pictures' if n else 'no picture'} in column '{column}'; a question here is"
            " about one picture.",
            hint="Leave such rows out with `filters`, or name another column as `fields.image`.",
        )
    for name in others:
        if encoded_pictures(raw[name]):
            raise DataError(
                f"Row '{row_id}' has pictures in columns '{column}' and '{name}'.",
                hint=f"If '{name}' is no part of the question, write `fields.other_images: [{name}]`; else leave such"
                " rows out with `filters`.",
            )


def _rows_error(file: TaskFile, wrong: Sequence[DataError], n: int) -> DataError:
    if len(wrong) == 1:
        return wrong[0]
    shown = "\n".join(f"  - {error.message}" for error in wrong[:_ERRORS_SHOWN])
    more = f"\n  - and {len(wrong) - _ERRORS_SHOWN} more" if len(wrong) > _ERRORS_SHOWN else ""
    return DataError(f"{len(wrong)} of {n} rows of '{file.name}' do not fit:\n{shown}{more}", hint=wrong[0].hint)


def _check_left(file: TaskFile, ids: Sequence[str], n: int, undecodable: Sequence[LeftOut]) -> None:
    if twice := [name for name, count in Counter(ids).items() if count > 1]:
        raise DataError(
            f"Two rows of '{file.name}' have the id '{twice[0]}'.",
            hint="Name a column with different values as `fields.id`, or leave it out: rows are then numbered.",
        )
    if not ids and undecodable:
        first = undecodable[0]
        raise DataError(
            f"None of {n} pictures of '{file.name}' can be decoded; the first, of row '{first.id}': {first.reason}.",
            hint="Check `fields.image`; a path in a text column starts at the folder of the data file.",
        )
    if not ids:
        raise DataError(
            f"'{file.name}' has no rows left to ask.", hint="Loosen `filters`, or raise `limit` to hold a whole group."
        )
