"""Questions and small pictures of external data sets, for publishers whose data may be passed on."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from vsc_eval.analysis.compare.run_files import FinishedRun, read_run
from vsc_eval.answers.hashes import picture_hash
from vsc_eval.answers.items import ItemLine
from vsc_eval.board.records import Shown
from vsc_eval.errors import DataError, SpecError
from vsc_eval.specs import BASELINE
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
    lines = {line.id: line for line in found.lines if line.task not in TASKS}
    if not lines:
        raise SpecError(
            "--with-pictures: the run has no items of external data sets.",
            hint="Leave it out: the page draws pictures of synthetic items anew.",
        )
    shown: dict[str, Shown] = {}
    for data in _data(found, include, data_dir):
        for document in data.documents:
            line = lines.get(document["id"])
            if line is not None and _changed(line):
                shown[line.id] = _shown(line, document, data)
    missing = next((line for line in lines.values() if _changed(line) and line.id not in shown), None)
    if missing is not None:
        raise DataError(
            f"Item '{missing.id}' is not in the data of its task.",
            hint="Name the run's task files and data with --include-path and --data-dir.",
        )
    return shown


def _changed(line: ItemLine) -> bool:
    return any(answer != line.answers[BASELINE] for answer in line.answers.values())


def _data(run: FinishedRun, include: Sequence[Path], data_dir: Path | None) -> list[ExternalData]:
    # Loads `datasets`, which takes a second, and the data themselves.
    from vsc_eval.lmeval.documents import load_data
    from vsc_eval.lmeval.task_index import ExternalChoice, chosen_files

    choice = ExternalChoice(
        include=tuple(include), overrides=tuple(run.settings.get("override", ())), data_dir=data_dir
    )
    _, files = chosen_files(run.settings.get("tasks", ()), choice, limit=run.settings.get("limit"))
    return [load_data(file) for file in files.values()]


def _shown(line: ItemLine, document: Mapping[str, Any], data: ExternalData) -> Shown:
    image = data.pictures.decode(document["vsc_row"])
    if picture_hash(image) != line.asked.image_hash or document["answer"] != line.gold:
        raise DataError(
            f"Item '{line.id}' has another picture or right answer than when the run was made.",
            hint="Publish without --with-pictures, or make the run again with the data as they are now.",
        )
    return Shown(question=str(document["prompt"]), picture=_thumbnail(image))


def _thumbnail(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((SIDE_PX, SIDE_PX))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
