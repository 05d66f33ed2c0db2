"""What a synthetic task is, what it is built with, and which there are."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from vsc_eval.registry import Registry
from vsc_eval.synthetic.draws import Box, Point, Stream, place
from vsc_eval.synthetic.program import LETTERS, Op, Program, format_prompt, plural, words
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind, Scene, SceneObject
from vsc_eval.synthetic.seen import Seen

T = TypeVar("T")

LEVELS: Final = ("easy", "medium", "hard")
SPLITS: Final = ("train", "sae", "select", "test")


class Difficulty(BaseModel):
    """Base of every level's parameters: what easy, medium and hard mean stands with each task.

    Sizes and distances are pixels of the 448 px canvas, pairs are (least, greatest), both included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: tuple[int, int]
    """Extent of the objects."""
    gap_px: int
    """Least distance between bounding boxes."""
    n_objects: int
    """Objects in the picture (the greatest number, where it varies)."""


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

    def place(self, difficulty: Difficulty, extents: Sequence[int], taken: Sequence[Box] = ()) -> list[Point]:
        """Centres for objects of these extents. Raises CrowdedError."""
        return place(self.stream, extents, gap=difficulty.gap_px, phase=self.phase, taken=taken)

    def extents(self, difficulty: Difficulty) -> list[int]:
        """Even extents of all objects, uniform over the level's range."""
        return [self.stream.even(*difficulty.size_px) for _ in range(difficulty.n_objects)]

    def lay_out(self, difficulty: Difficulty) -> tuple[list[int], list[Point]]:
        """Extents and centres of all objects. Raises CrowdedError."""
        extents = self.extents(difficulty)
        return extents, self.place(difficulty, extents)


def asked(templates: Sequence[str], **words: str) -> Callable[[int], str]:
    """The question of a template number, its `{fields}` filled in."""
    return lambda template: templates[template].format(**words)


def rotated(values: Sequence[T], n: int) -> list[T]:
    """`values` turned left by n: the option order of fixed option sets turns from orbit to orbit."""
    n %= len(values)
    return [*values[n:], *values[:n]]


def replaced(values: Sequence[T], changes: dict[int, T]) -> list[T]:
    """A copy of `values` with some entries changed."""
    return [changes.get(index, value) for index, value in enumerate(values)]


def turned(colours: Sequence[str], shapes: Sequence[str], fixed: Sequence[Kind] = ()) -> list[list[Kind]]:
    """The kinds of four scenes: option colours turn among the objects of `shapes`, `fixed` ones stay what they are."""
    return [[*zip(rotated(colours, i), shapes, strict=True), *fixed] for i in range(4)]


def scene(kinds: Sequence[Kind], extents: Sequence[int], points: Sequence[Point], grid: int | None = None) -> Scene:
    """A scene from parallel lists; of `extents` and `points` there may be more than of `kinds`."""
    n = len(kinds)
    return Scene(
        objects=tuple(
            SceneObject(shape=shape, colour=colour, size=size, x=x, y=y)
            for (colour, shape), size, (x, y) in zip(kinds, extents[:n], points[:n], strict=True)
        ),
        grid=grid,
    )


@dataclass(frozen=True)
class SyntheticTask:
    """A question that four scenes answer differently. vsc_eval.synthetic.oracle checks all that is said here."""

    name: str
    """Lower case, digits and `_`: part of the task's names in lm-eval and of its items' ids."""
    levels: Mapping[str, Difficulty]
    """Parameters of `easy`, `medium` and `hard`."""
    build: Callable[[Context, Any], Draft]
    """(context, the level's parameters) -> one orbit. Raises CrowdedError for a layout to be drawn again."""
    read: Callable[[Sequence[Seen], str, Sequence[str]], str]
    """The pixel oracle's reader: (objects seen in the picture, question, options) -> the right option, from these
    alone. Raises DataError where the picture is unclear."""
    texts: Iterable[str] = ()
    """What questions and options hold, `{fields}`, colours and shapes aside; only ours go into the vocabulary of
    vsc-tiny."""
    ops: Mapping[str, Op] = field(default_factory=dict)
    """What the task's programs need beyond the ops of program.py."""


_ENDINGS = frozenset({*LEVELS, "choice", "paired", "none", "grey", "level", "views", "external"})


def _fault(task: SyntheticTask) -> str | None:
    if not (task.name.isidentifier() and task.name.islower() and task.name.isascii()):
        return f"'{task.name}' is no name in lower case, digits and _"
    if (ending := task.name.rpartition("_")[2]) in _ENDINGS:
        return f"its name ends in '{ending}', as the names of levels, variants and views do"
    if tuple(task.levels) != LEVELS:
        return f"it has the levels {', '.join(task.levels)}, not {', '.join(LEVELS)}"
    return None


_SHIPPED = ("counting", "spatial_relation", "attribute_query", "comparison", "existence", "logic", "multi_hop")
SYNTHETIC_TASKS: Registry[SyntheticTask] = Registry(
    "task",
    "vsc_eval.synthetic_tasks",
    {name: f"vsc_eval.synthetic.tasks.{name}:TASK" for name in _SHIPPED},
    SyntheticTask,
    _fault,
)

TASKS: Final = SYNTHETIC_TASKS.shipped
"""The tasks of the benchmark: those of other packages are asked by their own names only."""


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Every token of `words` that a prompt of our tasks can hold, held-out paraphrases included, sorted."""
    texts = [format_prompt("", LETTERS), *COLOUR_NAMES, *SHAPES, *map(plural, SHAPES)]
    texts += [text for task in TASKS for text in SYNTHETIC_TASKS.get(task).texts]
    return tuple(sorted({word for text in texts for word in words(re.sub(r"\{\w+\}", "", text))}))
