"""Random draws that depend on their name only, and places for objects, on a lattice that no two splits share.

A stream is named by what it is for (generator version, split, task, level, orbit, attempt) and keyed by the sha256 of
that name, so no two orbits share draws; `seed + i` would make one seed replay another one shifted. Only the raw
words of numpy's Philox are used: numpy keeps those stable across versions, but not the methods of `Generator`.

Every centre (x, y) of a split has (x + y) % 4 equal to the split's phase. So no scene of one split can be a scene of
another, however many are drawn; x and y alone stay uniform, and a shift of at most 3 px tells nothing about answers.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from vsc_eval.synthetic.scene import CANVAS

T = TypeVar("T")

Point = tuple[int, int]
Box = tuple[int, int, int]
"""(x, y, size)."""

MARGIN_PX = 4
"""Least distance of a bounding box from the edge of the canvas."""

PHASES = 4
_BLOCK = 128
_TRIES = 60


class CrowdedError(Exception):
    """No place was found; the orbit is drawn again from the stream of the next attempt."""


class Stream:
    """Integer draws from Philox-4x64, keyed by the sha256 of `name`."""

    def __init__(self, *name: str | int) -> None:
        digest = hashlib.sha256("\x1f".join(map(str, name)).encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        self._words: list[int] = []

    def below(self, n: int) -> int:
        """Uniform in 0 .. n-1 (bias below n / 2**32)."""
        if not self._words:
            self._words = self._bits.random_raw(_BLOCK).tolist()
        return ((self._words.pop() >> 32) * n) >> 32

    def between(self, low: int, high: int) -> int:
        """Uniform in low .. high, both included."""
        assert low <= high, (low, high)
        return low + self.below(high - low + 1)

    def even(self, low: int, high: int) -> int:
        """Uniform over the even numbers in low .. high."""
        return 2 * self.between((low + 1) // 2, high // 2)

    def pick(self, values: Sequence[T]) -> T:
        """One of `values`."""
        return values[self.below(len(values))]

    def other(self, values: Sequence[T], *excluded: T) -> T:
        """One of `values` that is not excluded."""
        return self.pick([v for v in values if v not in excluded])

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """A uniformly random order of `values` (Fisher-Yates)."""
        out = list(values)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out

    def sample(self, values: Sequence[T], n: int) -> list[T]:
        """`n` different entries of `values`, in random order."""
        return self.shuffled(values)[:n]

    def point(self, low: int, phase: int) -> Point:
        """A lattice point of `phase` whose coordinates lie at least `low` px from the edges of the canvas."""
        span = CANVAS - 2 * low + 1
        return snap(low + self.below(span), low + 3 + self.below(span - 3), phase)


def snap(x: int, y: int, phase: int) -> Point:
    """The lattice point of `phase` at or up to 3 px above (x, y)."""
    return x, y - ((x + y - phase) % PHASES)


def clear(x: int, y: int, size: int, boxes: Sequence[Box], gap: int) -> bool:
    """Whether a box keeps at least `gap` px from all `boxes`, along x or along y."""
    return all(2 * max(abs(x - bx), abs(y - by)) >= size + bs + 2 * gap for bx, by, bs in boxes)


def place(stream: Stream, sizes: Sequence[int], *, gap: int, phase: int, taken: Sequence[Box] = ()) -> list[Point]:
    """Centres for boxes of `sizes` px, uniform over the free canvas, in the order of `sizes`.

    Large boxes are placed first, which keeps rejections rare. Raises CrowdedError.
    """
    boxes = list(taken)
    points: dict[int, Point] = {}
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        size = sizes[index]
        tries = (stream.point(MARGIN_PX + (size + 1) // 2, phase) for _ in range(_TRIES))
        point = next((at for at in tries if clear(*at, size, boxes, gap)), None)
        if point is None:
            raise CrowdedError
        boxes.append((*point, size))
        points[index] = point
    return [points[index] for index in range(len(sizes))]
