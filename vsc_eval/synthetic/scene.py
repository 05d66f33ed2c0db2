"""The typed description of one synthetic image: coloured shapes on a plain canvas.

Everything is integer pixels, so a scene means the same picture on every machine. Centres lie on pixel corners and a
shape fills its bounding box of `size` x `size` pixels; objects never overlap and nothing is rotated.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict

from vsc_eval.errors import DataError, SpecError

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

COLOUR_NAMES: Final = tuple(COLOURS)

SHAPES: Final = ("circle", "square", "triangle", "cross", "star", "heart")
"""No two of these are confused by a small size, and none is another one rotated (so no diamond beside the square)."""

Kind = tuple[str, str]
"""(colour, shape)."""

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

    @property
    def size_class(self) -> str:
        """`small`, `medium` or `large`."""
        if self.size <= SMALL_MAX_PX:
            return "small"
        return "large" if self.size >= LARGE_MIN_PX else "medium"

    def window(self) -> tuple[int, int, int]:
        """Left edge, top edge and width of its box, widened to even. Raises DataError if that leaves the canvas."""
        width = self.size + self.size % 2
        left, top = self.x - width // 2, self.y - width // 2
        if min(left, top) < 0 or max(left, top) + width > CANVAS:
            raise DataError(
                f"An object at ({self.x}, {self.y}) leaves the canvas.", hint="Move it inward or make it smaller."
            )
        return left, top, width


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
    if not re.fullmatch("#[0-9a-fA-F]{6}", background):
        raise SpecError(f"Background '{background}' is not a colour.", hint="Write it as '#rrggbb'.")
    red, green, blue = bytes.fromhex(background[1:])
    return red, green, blue


_ZONES = (("top left", "top", "top right"), ("left", "centre", "right"), ("bottom left", "bottom", "bottom right"))


def scene_words(scene: Scene) -> str:
    """One sentence, for readers who do not see the picture, that names every object and where it is.

    Objects are listed one by one, never counted by kind or compared, so that the reader has to work out the answer as
    one who sees the picture has.
    """
    objects, n = sorted(scene.objects, key=lambda o: (o.y, o.x)), scene.grid
    if n is not None and len(objects) == n**2:
        rows = (sorted(objects[start : start + n], key=lambda o: o.x) for start in range(0, n * n, n))
        return f"A grid of {n} by {n} shapes, row by row: {'; '.join(map(_names, rows))}."
    zones: dict[tuple[int, int], list[SceneObject]] = {}
    for o in objects:
        zones.setdefault((3 * o.y // CANVAS, 3 * o.x // CANVAS), []).append(o)
    parts = [f"{_ZONES[row][column]}: {_names(zones[row, column], sized=True)}" for row, column in sorted(zones)]
    noun = "shape" if len(objects) == 1 else "shapes"
    return f"{len(objects)} {noun} on a plain background; {'; '.join(parts)}."


def _names(objects: Iterable[SceneObject], *, sized: bool = False) -> str:
    sizes = {"small": "small ", "medium": "", "large": "large "} if sized else {}
    return ", ".join(f"{sizes.get(o.size_class, '')}{o.colour} {o.shape}" for o in objects)
