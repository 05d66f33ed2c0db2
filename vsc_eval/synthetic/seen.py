"""What a picture shows, by its pixels: the parts that the oracle's readers of single tasks share.

No scene is read here but for the identity mask, which tells a picture's objects apart. The mask is drawn without
anti-aliasing and by a second geometry, on purpose not the renderer's: inequalities at the centre of each pixel, where
the renderer counts samples of polygons. Its coordinates count half pixels from the object's centre, so pixel centres
are odd.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.synthetic.scene import CANVAS, COLOUR_NAMES, COLOURS, SHAPES, Scene

T = TypeVar("T")

_Int = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

_HINT = "Renderer and mask disagree; report this item's id."

_STAR = (
    (0, -1000), (278, -297), (1000, -236), (450, 260), (618, 1000),
    (0, 603), (-618, 1000), (-450, 260), (-1000, -236), (-278, -297), (0, -1000),
)  # fmt: skip
"""Corners in 1/1000 of half the extent; every straight line from the centre meets the outline once."""


def _star(u: _Int, v: _Int, s: int) -> _Bool:
    """Inside one of the ten triangles between the centre and two neighbouring corners."""
    inside = np.zeros(np.broadcast_shapes(u.shape, v.shape), dtype=bool)
    for (ax, ay), (bx, by) in pairwise(_STAR):
        left_of_a = ax * v - ay * u >= 0
        right_of_b = bx * v - by * u <= 0
        within = 1000 * ((bx - ax) * v - (by - ay) * u) >= s * ((bx - ax) * ay - (by - ay) * ax)
        inside |= left_of_a & right_of_b & within
    return inside


@lru_cache(maxsize=2048)
def _stamp(shape: str, size: int) -> _Bool:
    """The pixels [w, w] of one shape, w = size rounded up to even."""
    width = size + size % 2
    axis = np.arange(1 - width, width, 2, dtype=np.int64)
    u, v, s = axis[None, :], axis[:, None], size
    box: _Bool = (abs(u) <= s) & (abs(v) <= s)
    match shape:
        case "square":
            return box
        case "circle":
            return np.asarray(u**2 + v**2 <= s**2)
        case "triangle":
            return np.asarray(box & (2 * abs(u) <= v + s))
        case "cross":
            return np.asarray(box & (100 * np.minimum(abs(u), abs(v)) <= 36 * s))
        case "star":
            return _star(u, v, s)
        case "heart":
            lobes = (2 * abs(u) - s) ** 2 + (2 * v + s) ** 2 <= s**2
            return np.asarray(lobes | (box & (2 * v >= -s) & (3 * abs(u) <= 2 * (s - v))))
        case _:
            raise DataError(f"A scene holds the unknown shape '{shape}'.", hint="Use a shape of SHAPES.")


def identity_mask(scene: Scene) -> npt.NDArray[np.int16]:
    """[448, 448]: 0 for background, i + 1 for the scene's object i (a later object covers an earlier one).

    Raises DataError if an object leaves the canvas.
    """
    mask = np.zeros((CANVAS, CANVAS), dtype=np.int16)
    for i, o in enumerate(scene.objects):
        left, top, width = o.window()
        mask[top : top + width, left : left + width][_stamp(o.shape, o.size)] = i + 1
    return mask


@dataclass(frozen=True)
class Seen:
    """One object. Positions in px from the top left corner of the picture."""

    shape: str
    colour: str
    x: float
    y: float
    """Centre of the bounding box."""
    width: int
    height: int
    area: int
    """Pixels of the mask."""

    @property
    def extent(self) -> int:
        """The longer side of the bounding box in px."""
        return max(self.width, self.height)


_PURE = np.array([r | g << 8 | b << 16 for r, g, b in COLOURS.values()], dtype=np.uint32)
"""Packed values of the named colours."""


def classify_shape(region: _Bool) -> str:
    """The shape of a tightly cropped region, from how full its box is and how much of it lies in the upper half."""
    height = len(region)
    area = int(region.sum())
    fill = area / region.size
    upper = int(region[: height // 2].sum()) + int(region[height // 2].sum()) * (height % 2) / 2
    top = upper / area
    if top < 0.36:
        return "triangle"
    if top > 0.6:
        return "heart"
    if fill > 0.92:
        return "square"
    if fill > 0.69:
        return "circle"
    return "cross" if fill > 0.49 else "star"


def look(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.int16]) -> list[Seen]:
    """All objects of a picture uint8 [h, w, 3] with its identity mask [h, w].

    The colour is the named one that most of the object's pixels have exactly. Raises DataError if picture and mask
    disagree: a masked pixel that is not painted, a fully painted one outside the mask, an object without a colour.
    """
    # Each pixel as one integer, 0xBBGGRR.
    padded = np.pad(pixels, ((0, 0), (0, 0), (0, 1)))
    packed, labels = padded.view("<u4").ravel(), mask.ravel()
    painted = packed != packed[0]
    inside = labels > 0
    if (inside & ~painted).any():
        raise DataError("The mask covers pixels that are not painted.", hint=_HINT)
    if np.isin(packed[painted & ~inside], _PURE).any():
        raise DataError("The picture has painted pixels outside the mask.", hint=_HINT)
    flat = np.flatnonzero(inside)
    flat = flat[np.argsort(labels[flat], kind="stable")]
    ys, xs = np.divmod(flat, mask.shape[1])
    starts = np.flatnonzero(np.diff(labels[flat], prepend=0)).tolist()
    return [
        _object(ys[start:end], xs[start:end], packed[flat[start:end]])
        for start, end in zip(starts, [*starts[1:], len(flat)], strict=True)
    ]


def _object(ys: _Int, xs: _Int, colours: npt.NDArray[np.uint32]) -> Seen:
    """One object from its pixels: rows (ascending), columns and packed colours, each [n]."""
    top, bottom, left, right = int(ys[0]), int(ys[-1]) + 1, int(xs.min()), int(xs.max()) + 1
    votes = (colours == _PURE[:, None]).sum(axis=1)
    if 2 * votes.max() < len(ys):
        raise DataError(f"The object at ({left}, {top}) has no named colour.", hint=_HINT)
    region = np.zeros((bottom - top, right - left), dtype=bool)
    region[ys - top, xs - left] = True
    return Seen(
        shape=classify_shape(region),
        colour=COLOUR_NAMES[int(votes.argmax())],
        x=(left + right) / 2,
        y=(top + bottom) / 2,
        width=right - left,
        height=bottom - top,
        area=len(ys),
    )


COLOUR = f"(?P<colour>{'|'.join(COLOURS)})"
SHAPE = f"(?P<shape>{'|'.join(SHAPES)})(?:es|s)?"
NOUN = re.compile(rf"\b{COLOUR} {SHAPE}\b")
BARE_NOUN = re.compile(rf"\b{SHAPE}\b")


def unclear(what: str) -> DataError:
    return DataError(f"The picture does not canonicalise this: {what}.", hint="The item is faulty; report its id.")


def matching(seen: Sequence[Seen], noun: re.Match[str]) -> list[Seen]:
    return [o for o in seen if (o.colour, o.shape) == (noun["colour"], noun["shape"])]


def noun_in(text: str, pattern: re.Pattern[str] = NOUN) -> re.Match[str]:
    found = pattern.search(text)
    if found is None:
        raise unclear(f"no object is named in '{text}'")
    return found


def only(found: Sequence[T], what: str) -> T:
    if len(found) != 1:
        raise unclear(f"{len(found)} {what}")
    return found[0]
