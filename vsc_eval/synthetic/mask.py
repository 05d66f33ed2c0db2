"""The identity mask: which object each pixel belongs to, drawn without anti-aliasing.

This is a second geometry, on purpose not the renderer's: inequalities at the centre of each pixel, where the
renderer counts samples of polygons. Coordinates count half pixels from the object's centre, so pixel centres are odd.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.synthetic.scene import CANVAS, Scene

_Int = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

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
        stamp = _stamp(o.shape, o.size)
        width = len(stamp)
        left, top = o.x - width // 2, o.y - width // 2
        if min(left, top) < 0 or max(left, top) + width > CANVAS:
            raise DataError(f"An object at ({o.x}, {o.y}) leaves the canvas.", hint="Move it inward.")
        window = mask[top : top + width, left : left + width]
        window[stamp] = i + 1
    return mask
