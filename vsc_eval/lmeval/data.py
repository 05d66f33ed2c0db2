"""What lm-eval's task files call to get items and pictures.

A document holds the scene, not its picture: the hash that lm-eval prints of a document must not depend on how an image
object is written out, and 2,100 pictures would fill 1.7 GB.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import datasets
from PIL import Image

from vsc_eval.errors import SpecError
from vsc_eval.lmeval.registry import register_models
from vsc_eval.lmeval.scene_image import SceneImage
from vsc_eval.synthetic import DEFAULT_SIZES, LETTERS, Item, make_items
from vsc_eval.synthetic.render import blind_image


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

    lm-eval calls it with the task's metadata and with all of `--model_args` and `--metadata`, which is why our names
    begin with `vsc_` and the others are ignored. `vsc_n` (default: the split's default size) is the number of items, a
    multiple of 4. `vsc_paired` marks documents whose two answers are one without and one with the edit.
    Raises SpecError for an unknown task, level, split or `vsc_` name, or a bad number.
    """
    strangers = sorted(name for name in others if name.startswith("vsc_"))
    if strangers:
        raise SpecError(f"The vsc tasks have no setting {', '.join(strangers)}.", hint="They have vsc_n and vsc_split.")
    if vsc_n is None:
        if vsc_split not in DEFAULT_SIZES:
            raise SpecError(f"Unknown split '{vsc_split}'.", hint=f"Use one of {', '.join(DEFAULT_SIZES)}.")
        vsc_n = DEFAULT_SIZES[vsc_split]
    if isinstance(vsc_n, bool) or not isinstance(vsc_n, int):
        raise SpecError(f"vsc_n={vsc_n!r} is not a number of items.", hint="Write for example `vsc_n=20`.")
    return _cell(vsc_task, vsc_level, vsc_split, vsc_n, bool(vsc_paired))


# lm-eval builds a task once for each group that holds it.
@lru_cache(maxsize=256)
def _cell(task: str, level: str, split: str, n: int, paired: bool) -> datasets.DatasetDict:
    rows = [document(item, paired=paired) for item in make_items(split, task, level, n)]
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})


def document(item: Item, *, paired: bool = False) -> dict[str, Any]:
    """The lm-eval document of an item: strings, integers and lists only."""
    return {
        "id": item.id,
        "orbit_id": item.orbit_id,
        "task": item.task,
        "level": item.level,
        "split": item.split,
        "prompt": item.prompt,
        "options": list(item.options),
        "letters": list(LETTERS),
        "gold": item.gold,
        "answer": item.answer,
        "scene": item.scene.model_dump_json(),
        "template_id": item.template_id,
        "generator_version": item.generator_version,
        "vsc_paired": paired,
    }


def scene_images(doc: dict[str, Any]) -> list[Image.Image]:
    """The picture of a document, drawn when its pixels are asked for."""
    return [SceneImage(doc["scene"])]


def grey_images(doc: dict[str, Any]) -> list[Image.Image]:
    """A plain canvas in place of the picture."""
    return [_grey()]


@lru_cache(maxsize=1)
def _grey() -> Image.Image:
    image = blind_image("grey")
    assert image is not None
    return image


# `lm_eval run --tasks FILE` resolves a file's functions, and so imports this module, before it looks for the model:
# its own command line then finds ours as well.
register_models()
