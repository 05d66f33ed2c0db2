"""Questions and small pictures of external data sets, for publishers whose data may be passed on."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsc_eval.answers.answer_table import AskedItem
from vsc_eval.answers.finished_run import FinishedRun, read_run
from vsc_eval.board.records import Shown
from vsc_eval.errors import DataError, SpecError
from vsc_eval.figures.data_uri import data_uri
from vsc_eval.files import picture_hash
from vsc_eval.synthetic import TASKS

if TYPE_CHECKING:
    from vsc_eval.taskfiles.items import ExternalData

SIDE_PX = 320
"""Longest side of a picture in an entry."""
_JPEG_QUALITY = 75


def shown_items(run: Path, *, include: Sequence[Path] = (), data_dir: Path | None = None) -> dict[str, Shown]:
    """Item id -> its question and picture, of the external items whose answer some condition changed: the gallery has
    no others. `include` and `data_dir` say where task files and data are, as they did to the run.

    Raises SpecError for a run without external items, DataError if the data are not what the run was asked.
    """
    found = read_run(run)
    table = found.table
    if all(item.task in TASKS for item in table.items):
        raise SpecError(
            "--with-pictures: the run has no items of external data sets.",
            hint="Leave it out: the page draws pictures of synthetic items anew.",
        )
    is_changed = table.changed(table.names).max(axis=0) > 0
    changed = {
        item.item_id: item
        for item, is_one in zip(table.items, is_changed.tolist(), strict=True)
        if is_one and item.task not in TASKS
    }
    shown: dict[str, Shown] = {}
    for data in _data(found, include, data_dir):
        for document in data.documents:
            item = changed.get(document["id"])
            if item is not None:
                shown[item.item_id] = _shown(item, document, data)
    missing = next((name for name in changed if name not in shown), None)
    if missing is not None:
        raise DataError(
            f"Item '{missing}' is not in the data of its task.",
            hint="Name the run's task files and data with --include-path and --data-dir.",
        )
    return shown


def _data(run: FinishedRun, include: Sequence[Path], data_dir: Path | None) -> list[ExternalData]:
    # Loads `datasets`, which takes a second, and the data themselves.
    from vsc_eval.lmeval.documents import load_data
    from vsc_eval.lmeval.task_index import chosen_files
    from vsc_eval.settings import AskSpec

    known = {name: run.settings[name] for name in ("tasks", "override", "limit") if name in run.settings}
    _, files = chosen_files(AskSpec.model_validate({**known, "include_path": include, "data_dir": data_dir}))
    return [load_data(file) for file in files.values()]


def _shown(item: AskedItem, document: Mapping[str, Any], data: ExternalData) -> Shown:
    image = data.pictures.decode(document["vsc_row"])
    if picture_hash(image) != item.image_hash or document["answer"] != item.gold:
        raise DataError(
            f"Item '{item.item_id}' has another picture or right answer than when the run was made.",
            hint="Publish without --with-pictures, or make the run again with the data as they are now.",
        )
    small, content = image.copy(), io.BytesIO()
    small.thumbnail((SIDE_PX, SIDE_PX))
    small.save(content, "JPEG", quality=_JPEG_QUALITY)
    return Shown(question=str(document["prompt"]), picture=data_uri("jpeg", content.getvalue()))
