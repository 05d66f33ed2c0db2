"""What a builder hands over, and the few draws that several builders share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import Point
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.scene import COLOURS, SHAPES, Scene, SceneObject
from vsc_eval.synthetic.streams import Stream

T = TypeVar("T")

Kind = tuple[str, str]
"""(colour, shape)."""

ALL_COLOURS: tuple[str, ...] = tuple(COLOURS)
ALL_SHAPES: tuple[str, ...] = SHAPES


@dataclass(frozen=True)
class Draft:
    """One orbit: scene i makes option i the only right one; question, options and program are the same for all four."""

    question: Callable[[int], str]
    """Template number -> question."""
    options: Sequence[str]
    program: Program
    scenes: Sequence[Scene]
    intermediates: Sequence[dict[str, Any]]
    """Per scene: the values on the way to the answer."""
    kinds: Sequence[str]
    """Per option: what makes it a foil where it is one."""


@dataclass(frozen=True)
class Context:
    """What an orbit is built from."""

    stream: Stream
    phase: int
    orbit: int


Builder = Callable[[Context, Any], Draft]


def sizes(context: Context, difficulty: Difficulty, n: int) -> list[int]:
    """`n` even extents, uniform over the level's range."""
    return [context.stream.even(*difficulty.size_px) for _ in range(n)]


def other(stream: Stream, values: Sequence[str], *excluded: str) -> str:
    """One of `values` that is not excluded."""
    return stream.pick([v for v in values if v not in excluded])


def rotated(values: Sequence[T], n: int) -> list[T]:
    """`values` turned left by n: the option order of fixed option sets turns from orbit to orbit."""
    n %= len(values)
    return [*values[n:], *values[:n]]


def scene(kinds: Sequence[Kind], extents: Sequence[int], points: Sequence[Point], grid: int | None = None) -> Scene:
    """A scene from parallel lists."""
    return Scene(
        objects=tuple(
            SceneObject(shape=shape, colour=colour, size=size, x=x, y=y)
            for (colour, shape), size, (x, y) in zip(kinds, extents, points, strict=True)
        ),
        grid=grid,
    )


def replaced(values: Sequence[T], changes: dict[int, T]) -> list[T]:
    """A copy of `values` with some entries changed."""
    out = list(values)
    for index, value in changes.items():
        out[index] = value
    return out
