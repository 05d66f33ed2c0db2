"""Where objects go: bounding boxes that keep their distance, on a lattice that no two splits share.

Every centre (x, y) of a split has (x + y) % 4 equal to the split's phase. So no scene of one split can be a scene of
another, however many are drawn; x and y alone stay uniform, and a shift of at most 3 px tells nothing about answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.synthetic.scene import CANVAS
from vsc_eval.synthetic.streams import Stream

Point = tuple[int, int]
Box = tuple[int, int, int]
"""(x, y, size)."""

MARGIN_PX = 4
"""Least distance of a bounding box from the edge of the canvas."""

PHASES = 4
_TRIES = 60


class CrowdedError(Exception):
    """No place was found; the orbit is drawn again from the stream of the next attempt."""


def snap(x: int, y: int, phase: int) -> Point:
    """The lattice point of `phase` at or up to 3 px above (x, y)."""
    return x, y - ((x + y - phase) % PHASES)


def clear(x: int, y: int, size: int, boxes: Sequence[Box], gap: int) -> bool:
    """Whether a box keeps at least `gap` px from all `boxes`, along x or along y."""
    for bx, by, bs in boxes:
        need = size + bs + 2 * gap
        if -need < 2 * (x - bx) < need and -need < 2 * (y - by) < need:
            return False
    return True


def place(stream: Stream, sizes: Sequence[int], *, gap: int, phase: int, taken: Sequence[Box] = ()) -> list[Point]:
    """Centres for boxes of `sizes` px, uniform over the free canvas, in the order of `sizes`.

    Large boxes are placed first, which keeps rejections rare. Raises CrowdedError.
    """
    boxes = list(taken)
    points: list[Point] = [(0, 0)] * len(sizes)
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        size = sizes[index]
        low = MARGIN_PX + (size + 1) // 2
        span = CANVAS - 2 * low + 1
        for _ in range(_TRIES):
            x, y = snap(low + stream.below(span), low + 3 + stream.below(span - 3), phase)
            if clear(x, y, size, boxes, gap):
                break
        else:
            raise CrowdedError
        boxes.append((x, y, size))
        points[index] = (x, y)
    return points


def grid_centre(n: int, row: int, column: int) -> Point:
    """Centre of a cell of an n x n grid (before jitter)."""
    pitch = CANVAS // n // 2 * 2
    start = (CANVAS - pitch * n) // 2 + pitch // 2
    return start + pitch * column, start + pitch * row
