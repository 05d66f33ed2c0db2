"""What the compiled task files call: the documents of a task file's data, and their pictures.

The whole task file travels in the metadata of lm-eval's task, as `vsc_task_file`, so that a result file says what was
asked. Loaded data are kept for the process: lm-eval loads a task anew for each condition.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from pydantic import ValidationError

from vsc_eval import metrics
from vsc_eval.errors import SpecError
from vsc_eval.lmeval.registry import register_models
from vsc_eval.taskfiles.image import LazyImage
from vsc_eval.taskfiles.items import ExternalData, read_rows
from vsc_eval.taskfiles.load_progress import rows_shown
from vsc_eval.taskfiles.read import override
from vsc_eval.taskfiles.schema import TaskFile
from vsc_eval.taskfiles.source import load_rows, local_copy

_LOG = logging.getLogger("vsc_eval")
_SETTINGS = ("vsc_task_file", "vsc_paired", "vsc_data_dir", "vsc_override", "vsc_limit")
_OF_THE_BENCHMARK = ("vsc_n", "vsc_split")

_LOADED: dict[str, ExternalData] = {}
"""By what was asked for: the task file and where its data are."""
_BY_KEY: dict[str, ExternalData] = {}
"""By what the documents say."""


def load_task(
    *,
    vsc_task_file: Mapping[str, Any],
    vsc_paired: bool = False,
    vsc_data_dir: str | None = None,
    vsc_override: str | Sequence[str] = (),
    vsc_limit: int | None = None,
    **others: Any,
) -> datasets.DatasetDict:
    """The questions of a task file as split `test`, for `custom_dataset` in a compiled file.

    lm-eval calls it with the task's metadata and with all of `--model_args` and `--metadata`: names that are not ours
    are ignored. `vsc_data_dir`: folder of local copies. `vsc_override`: `NAME.KEY=VALUE`, one or several; those of
    other tasks are ignored. `vsc_limit`: the first so many rows, less incomplete groups. `vsc_paired` marks documents
    whose two answers are one without and one with the edit. Raises SpecError or DataError.
    """
    strangers = sorted(name for name in others if name.startswith("vsc_") and name not in _OF_THE_BENCHMARK)
    if strangers:
        raise SpecError(
            f"Tasks of data sets have no setting {', '.join(strangers)}.", hint=f"They have {', '.join(_SETTINGS[2:])}."
        )
    try:
        file = TaskFile.model_validate(vsc_task_file)
    except ValidationError as error:
        raise SpecError(
            f"The compiled task holds a task file that does not fit: {error.errors()[0]['msg']}.",
            hint="Compile it again: `vsc-eval tasks compile FILE`.",
        ) from error
    changes = [vsc_override] if isinstance(vsc_override, str) else list(vsc_override)
    file = limited(with_overrides(file, changes), vsc_limit)
    data = load_data(file, data_dir=Path(vsc_data_dir) if vsc_data_dir else None)
    rows = [{**document, "vsc_paired": bool(vsc_paired)} for document in data.documents]
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})


def with_overrides(file: TaskFile, changes: Sequence[str]) -> TaskFile:
    """`file` with those of `NAME.KEY=VALUE` that name it. Raises SpecError."""
    prefix = f"{file.name}."
    own = [change.removeprefix(prefix) for change in changes if change.startswith(prefix)]
    return override(file, own) if own else file


def limited(file: TaskFile, limit: int | None) -> TaskFile:
    """`file` with the smaller of its own limit and `limit`."""
    limits = [number for number in (file.limit, limit) if number is not None]
    return file.model_copy(update={"limit": min(limits)}) if limits else file


def at_local_copy(file: TaskFile, data_dir: Path | None) -> TaskFile:
    """`file` with the copy in `data_dir`, if one is given, as its data. Raises DataError if there is none."""
    if data_dir is None:
        return file
    copied = {"path": str(local_copy(file, data_dir)), "revision": None}
    return file.model_copy(update={"dataset": file.dataset.model_copy(update=copied)})


def load_data(file: TaskFile, *, data_dir: Path | None = None) -> ExternalData:
    """The data of a task file, read once in a process. Raises SpecError or DataError."""
    asked = file.model_dump_json() + str(data_dir)
    if asked not in _LOADED:
        # First the names: an unknown metric must not cost a download.
        metric = metrics.get(file.score) if file.score else None
        file = at_local_copy(file, data_dir)
        rows = load_rows(file)
        with rows_shown(f"Rows of {file.name}", len(rows)) as advance:
            data = read_rows(
                file,
                rows,
                folder=_folder_of(Path(file.dataset.path).expanduser()),
                score_columns=metric.columns if metric else (),
                advance=advance,
            )
        for note in data.report.notes():
            _LOG.warning(note)
        _LOADED[asked] = _BY_KEY[data.key] = data
    return _LOADED[asked]


def _folder_of(path: Path) -> Path | None:
    """Where relative paths of pictures begin; None for the hub's data."""
    return path.parent if path.is_file() else path if path.is_dir() else None


def loaded(document: Mapping[str, Any]) -> ExternalData:
    """The data that a document comes from."""
    return _BY_KEY[document["vsc_source"]]


def images(document: Mapping[str, Any]) -> list[LazyImage]:
    """The picture of a document, decoded when its pixels are asked for; `doc_to_image` of the compiled files."""
    return [loaded(document).pictures.lazy(document["vsc_row"])]


# `lm_eval run --tasks FILE` resolves a file's functions, and so imports this module, before it looks for the model:
# its own command line then finds ours as well.
register_models()
