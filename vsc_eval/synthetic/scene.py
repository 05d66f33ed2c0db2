"""The typed description of one synthetic image: coloured shapes on a plain canvas.

Everything is integer pixels, so a scene means the same picture on every machine. Centres lie on pixel corners and a
shape fills its bounding box of `size` x `size` pixels; objects never overlap and nothing is rotated.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import BaseModel, ConfigDict

from vsc_eval.errors import SpecError

CANVAS: Final = 448
"""Width and height of every picture in pixels: a multiple of 14, 28 and 32, the patch strides of current models."""

BACKGROUND: Final = "#f0f0f0"

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (214, 30, 38),
    "green": (34, 148, 56),
    "blue": (36, 72, 214),
    "yellow": (250, 214, 20),
    "purple": (144, 44, 172),
    "orange": (246, 132, 20),
    "cyan": (30, 196, 220),
    "black": (24, 24, 24),
}
"""Named colours and their sRGB values; any two differ by at least 80 in Euclidean distance."""

SHAPES: Final = ("circle", "square", "triangle", "cross", "star", "heart")
"""No two of these are confused by a small size, and none is another one rotated (so no diamond beside the square)."""

SMALL_MAX_PX: Final = 48
LARGE_MIN_PX: Final = 64
"""`small` means an extent of at most 48 px, `large` of at least 64 px; questions about size avoid what lies between."""


class SceneObject(BaseModel):
    """One shape. `size` is the side of its bounding box in px; (`x`, `y`) its centre in px from the top left corner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: str
    colour: str
    size: int
    x: int
    y: int


class Scene(BaseModel):
    """All objects of one picture. `grid` is the number of rows (= columns) where every cell holds one object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: tuple[SceneObject, ...]
    background: str = BACKGROUND
    grid: int | None = None

    def hash(self) -> str:
        """sha256 (hex) of the canonical JSON; the order in which objects are listed does not matter."""
        objects = sorted([o.shape, o.colour, o.size, o.x, o.y] for o in self.objects)
        payload = json.dumps([self.background, self.grid, objects], separators=(",", ":"))
        return hashlib.sha256(payload.encode()).hexdigest()


def background_rgb(background: str) -> tuple[int, int, int]:
    """`#rrggbb` as three integers; raises SpecError for anything else."""
    try:
        if len(background) != 7 or background[0] != "#":
            raise ValueError(background)
        value = int(background[1:], 16)
    except ValueError as error:
        raise SpecError(f"Background '{background}' is not a colour.", hint="Write it as '#rrggbb'.") from error
    return value >> 16, (value >> 8) & 255, value & 255
