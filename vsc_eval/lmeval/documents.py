"""What lm-eval's task files call: the documents of a cell of the synthetic benchmark or of a task file's data, and
their pictures.

lm-eval calls `load_cell` and `load_task` with the task's metadata and with all of `--model_args` and `--metadata`: our
names therefore begin with `vsc_`, and others are ignored. A document holds no picture: the hash that lm-eval prints of
it must not depend on how an image object is written out, and 2,100 pictures would fill 1.7 GB.

A whole task file travels in the metadata, as `vsc_task_file`, so that a result file says what was asked. Loaded data
are kept for the process: lm-eval loads a task anew for each condition.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import datasets
from PIL import Image
from pydantic import ValidationError
from rich.console import Console

from vsc_eval import metrics
from vsc_eval.errors import SpecError
from vsc_eval.lmeval.models import register_models
from vsc_eval.progress import progress_shown
from vsc_eval.synthetic import CANVAS, DEFAULT_SIZES, LETTERS, Item, Scene, blind_image, make_items, render
from vsc_eval.taskfiles.image import LazyImage
from vsc_eval.taskfiles.items import ExternalData, read_rows
from vsc_eval.taskfiles.read import override
from vsc_eval.taskfiles.schema import TaskFile
from vsc_eval.taskfiles.source import load_rows, local_copy

_LOG = logging.getLogger("vsc_eval")
_LARGE = 200
"""Rows from which on reading takes long enough to be watched."""

_LOADED: dict[str, ExternalData] = {}
"""By what was asked for: the task file and where its data are."""
_BY_KEY: dict[str, ExternalData] = {}
"""By what the documents say."""


def load_cell(
    *,
    vsc_task: str,
    vsc_level: str,
    vsc_split: str = "test",
    vsc_n: int | None = None,
    vsc_paired: bool = False,
    **others: Any,
) -> datasets.DatasetDict:
    """The items of one cell as split `test`, for `custom_dataset` in a task file.

    `vsc_n` (default: the split's default size) is the number of items, a multiple of 4. `vsc_paired` marks documents
    whose two answers are one without and one with the edit. Raises SpecError for an unknown task, level, split or
    `vsc_` name, or a bad number.
    """
    if strangers := sorted(name for name in others if name.startswith("vsc_")):
        raise SpecError(f"The vsc tasks have no setting {', '.join(strangers)}.", hint="They have vsc_n and vsc_split.")
    if vsc_n is None:
        # Of an unknown split, make_items says so.
        vsc_n = DEFAULT_SIZES.get(vsc_split, 4)
    if isinstance(vsc_n, bool) or not isinstance(vsc_n, int):
        raise SpecError(f"vsc_n={vsc_n!r} is not a number of items.", hint="Write for example `vsc_n=20`.")
    return _cell(vsc_task, vsc_level, vsc_split, vsc_n, bool(vsc_paired))


# lm-eval builds a task once for each group that holds it.
@lru_cache(maxsize=256)
def _cell(task: str, level: str, split: str, n: int, paired: bool) -> datasets.DatasetDict:
    return _as_test([document(item, paired=paired) for item in make_items(split, task, level, n)])


def _as_test(documents: list[dict[str, Any]]) -> datasets.DatasetDict:
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(documents)})


def document(item: Item, *, paired: bool = False) -> dict[str, Any]:
    """The lm-eval document of an item: strings, integers and lists only."""
    same = ("id", "orbit_id", "task", "level", "split", "prompt")
    return {
        **{name: getattr(item, name) for name in same},
        "options": list(item.options),
        "letters": list(LETTERS),
        "gold": item.gold,
        "answer": item.answer,
        "scene": item.scene.model_dump_json(),
        "template_id": item.template_id,
        "generator_version": item.generator_version,
        "vsc_paired": paired,
    }


def scene_images(doc: Mapping[str, Any]) -> list[Image.Image]:
    """The picture of a synthetic document, drawn when its pixels are asked for."""
    return [LazyImage((CANVAS, CANVAS), partial(_drawn, doc["scene"]))]


# Pillow reads the pixels several times in one operation.
@lru_cache(maxsize=32)
def _drawn(scene_json: str) -> Image.Image:
    return render(Scene.model_validate_json(scene_json))


@lru_cache(maxsize=1)
def _grey() -> Image.Image:
    image = blind_image("grey")
    assert image is not None
    return image


def grey_images(doc: Mapping[str, Any]) -> list[Image.Image]:
    """A plain canvas in place of the picture."""
    return [_grey()]


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

    `vsc_data_dir`: folder of local copies. `vsc_override`: `NAME.KEY=VALUE`, one or several; those of other tasks are
    ignored. `vsc_limit`: the first so many rows, less incomplete groups. `vsc_paired` marks documents whose two answers
    are one without and one with the edit. Raises SpecError or DataError.
    """
    # A request may hold tasks of the synthetic benchmark too, with settings of theirs.
    if strangers := sorted(name for name in others if name.startswith("vsc_") and name not in ("vsc_n", "vsc_split")):
        raise SpecError(
            f"Tasks of data sets have no setting {', '.join(strangers)}.",
            hint="They have vsc_data_dir, vsc_override, vsc_limit.",
        )
    try:
        file = TaskFile.model_validate(vsc_task_file)
    except ValidationError as error:
        raise SpecError(
            f"The compiled task holds a task file that does not fit: {error.errors()[0]['msg']}.",
            hint="Compile it again: `vsc-eval tasks compile FILE`.",
        ) from error
    changes = [vsc_override] if isinstance(vsc_override, str) else list(vsc_override)
    data_dir = Path(vsc_data_dir) if vsc_data_dir else None
    data = load_data(adjusted(file, changes, limit=vsc_limit), data_dir=data_dir)
    return _as_test([{**document, "vsc_paired": bool(vsc_paired)} for document in data.documents])


def adjusted(
    file: TaskFile, changes: Sequence[str] = (), *, limit: int | None = None, data_dir: Path | None = None
) -> TaskFile:
    """`file` with those of the `NAME.KEY=VALUE` that name it, with the smaller of its own limit and `limit`, and with
    the copy in `data_dir`, if one is given, as its data. Raises SpecError, or DataError if there is no copy."""
    prefix = f"{file.name}."
    if own := [change.removeprefix(prefix) for change in changes if change.startswith(prefix)]:
        file = override(file, own)
    update: dict[str, Any] = {}
    if limit is not None:
        update["limit"] = min(limit, file.limit or limit)
    if data_dir is not None:
        copied = {"path": str(local_copy(file, data_dir)), "revision": None}
        update["dataset"] = file.dataset.model_copy(update=copied)
    return file.model_copy(update=update)


def load_data(file: TaskFile, *, data_dir: Path | None = None) -> ExternalData:
    """The data of a task file, read once in a process. Raises SpecError or DataError."""
    file = adjusted(file, data_dir=data_dir)
    asked = file.model_dump_json()
    if asked in _LOADED:
        return _LOADED[asked]
    # First the names: an unknown metric must not cost a download.
    score_columns = metrics.get(file.score).columns if file.score else ()
    rows = load_rows(file)
    path, name = Path(file.dataset.path).expanduser(), f"Rows of {file.name}"
    # Where relative paths of pictures begin; None for the hub's data.
    folder = path.parent if path.is_file() else path if path.is_dir() else None
    is_long = len(rows) >= _LARGE
    with progress_shown(Console(stderr=True), {name: len(rows)}) if is_long else nullcontext() as shown:
        progress = partial(shown, name) if shown else None
        data = read_rows(file, rows, folder=folder, score_columns=score_columns, progress=progress)
    for note in data.report.notes():
        _LOG.warning(note)
    _LOADED[asked] = _BY_KEY[data.documents[0]["vsc_source"]] = data
    return data


def loaded(document: Mapping[str, Any]) -> ExternalData:
    """The data that a document comes from."""
    return _BY_KEY[document["vsc_source"]]


def images(document: Mapping[str, Any]) -> list[LazyImage]:
    """The picture of a document, decoded when its pixels are asked for; `doc_to_image` of the compiled files."""
    return [loaded(document).pictures.lazy(document["vsc_row"])]


# `lm_eval run --tasks FILE` resolves a file's functions, and so imports this module, before it looks for the model:
# its own command line then finds ours as well.
register_models()
