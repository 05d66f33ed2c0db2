"""A picture that is drawn when its pixels are read and not kept.

lm-eval builds the requests of all tasks before it asks the model anything. Drawn at once, the pictures of one run would
take 1.7 GB; as this class they take their scene's JSON, and stay ordinary PIL images for every model.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

from PIL import Image

from vsc_eval.errors import BackendError
from vsc_eval.synthetic.render import render
from vsc_eval.synthetic.scene import CANVAS, Scene


# Pillow reads the pixels several times in one operation.
@lru_cache(maxsize=32)
def _drawn(scene_json: str) -> Image.Image:
    return render(Scene.model_validate_json(scene_json))


class SceneImage(Image.Image):
    """An RGB image of 448 x 448 px. Writing to it makes it keep its own pixels, like any image."""

    def __init__(self, scene_json: str) -> None:
        super().__init__()
        self.scene_json = scene_json
        self._mode, self._size = "RGB", (CANVAS, CANVAS)
        # Pillow copies the pixels of a read-only image before it writes to them.
        self.readonly = 1

    @property
    def im(self) -> Any:
        return self._own if self._own is not None else _drawn(self.scene_json).im

    @im.setter
    def im(self, pixels: Any) -> None:
        self._own = pixels

    _own: Any = None

    def __reduce__(self) -> NoReturn:
        raise BackendError(
            "Requests with pictures of scenes cannot be kept in lm-eval's request cache: its key leaves out the task's"
            " settings, so that a changed task would get the old items.",
            hint="Leave --cache_requests out.",
        )
