"""What colour is the (described) object? The four scenes permute colours among objects of the same rank.

Every option colour occurs equally often in the picture, and in medium once among the large and once among the small
objects, so neither the number of objects of a colour nor its amount of ink tells the answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from vsc_eval.synthetic import program
from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import CrowdedError, Point, place
from vsc_eval.synthetic.phrasing import N_TEMPLATES
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.reading import BARE_NOUN, noun_in, the_one, unclear
from vsc_eval.synthetic.scene import COLOURS, SHAPES, Scene
from vsc_eval.synthetic.seen import Seen
from vsc_eval.synthetic.streams import Stream
from vsc_eval.synthetic.tasks.base import SyntheticTask
from vsc_eval.synthetic.tasks.draft import (
    ALL_COLOURS,
    ALL_SHAPES,
    Context,
    Draft,
    Kind,
    other,
    rotated,
    scene,
    sizes,
)


class AttributeDifficulty(Difficulty):
    refer_by: Literal["shape", "size_and_shape", "extreme_position"]
    """How the question names the object."""
    times_each_colour: int
    """How often each of the four option colours occurs in the picture."""
    large_px: tuple[int, int] = (0, 0)
    """Extent of `large` objects (`size_px` is then that of the small ones)."""
    margin_px: int = 0
    """Least distance, of centres and of edges, between the extreme object and the next of its shape."""


LEVELS = {
    "easy": AttributeDifficulty(size_px=(48, 72), gap_px=24, n_objects=4, refer_by="shape", times_each_colour=1),
    "medium": AttributeDifficulty(
        size_px=(32, 44), gap_px=12, n_objects=8, refer_by="size_and_shape", times_each_colour=2, large_px=(72, 88)
    ),
    "hard": AttributeDifficulty(
        size_px=(32, 44), gap_px=8, n_objects=12, refer_by="extreme_position", times_each_colour=3, margin_px=16
    ),
}

POSITION_WORDS: Final = {
    "leftmost": ("x", "min"),
    "rightmost": ("x", "max"),
    "topmost": ("y", "min"),
    "bottommost": ("y", "max"),
}
"""Word -> (coordinate, extreme)."""

_TEMPLATES = (
    "What colour is the {reference}?",
    "What is the colour of the {reference}?",
    "The {reference} has what colour?",
    "Which colour does the {reference} have?",
    "Name the colour of the {reference}.",
)


def question(reference: str, template: int) -> str:
    """`reference` is a shape, or one with `large`, `small`, `leftmost` ... before it; options are colours."""
    return _TEMPLATES[template].format(reference=reference)


def texts() -> Iterator[str]:
    """Every word of the questions and options."""
    words = ("large", "small", *POSITION_WORDS, *COLOURS)
    references = [*SHAPES, *(" ".join(parts) for parts in itertools.product(words, SHAPES))]
    for template in range(N_TEMPLATES):
        yield from (question(reference, template) for reference in references)


def _draft(reference: str, of: Program, colours: list[str], scenes: list[Scene], kind: str) -> Draft:
    return Draft(
        question=lambda template: question(reference, template),
        options=colours,
        program=program.query_colour(of),
        scenes=scenes,
        intermediates=[{"referent": [s.objects[0].x, s.objects[0].y]} for s in scenes],
        kinds=[kind] * 4,
    )


def _by_shape(context: Context, difficulty: AttributeDifficulty) -> Draft:
    stream = context.stream
    shapes = stream.sample(ALL_SHAPES, 4)
    colours = stream.sample(ALL_COLOURS, 4)
    extents = sizes(context, difficulty, 4)
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    scenes = [scene(list(zip(rotated(colours, i), shapes, strict=True)), extents, points) for i in range(4)]
    of = program.unique(program.filter_(shape=shapes[0]))
    return _draft(shapes[0], of, colours, scenes, "colour_of_other_shape")


def _by_size_and_shape(context: Context, difficulty: AttributeDifficulty) -> Draft:
    stream = context.stream
    size = stream.pick(("large", "small"))
    shape = stream.pick(ALL_SHAPES)
    same_rank = [shape, *(other(stream, ALL_SHAPES, shape) for _ in range(3))]
    other_rank = [shape, *(stream.pick(ALL_SHAPES) for _ in range(3))]
    colours = stream.sample(ALL_COLOURS, 4)
    fixed: list[Kind] = list(zip(stream.shuffled(colours), other_rank, strict=True))
    large = [stream.even(*difficulty.large_px) for _ in range(4)]
    small = sizes(context, difficulty, 4)
    extents = large + small if size == "large" else small + large
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    scenes = [scene([*zip(rotated(colours, i), same_rank, strict=True), *fixed], extents, points) for i in range(4)]
    of = program.unique(program.filter_(shape=shape, size=size))
    return _draft(f"{size} {shape}", of, colours, scenes, "colour_of_same_size")


def _choose_extreme(stream: Stream, points: list[Point], axis: int, sign: int, margin: int) -> list[int]:
    """Indices of the extreme object and of three later ones of its shape; one to three objects lie further out.

    `margin` holds between the first and the others. Raises CrowdedError if the layout has no such choice.
    """
    order = sorted(range(len(points)), key=lambda i: sign * points[i][axis])
    first = order[stream.between(1, 3)]
    later = [i for i in order if sign * (points[i][axis] - points[first][axis]) >= margin]
    if len(later) < 3:
        raise CrowdedError
    return [first, *stream.sample(later, 3)]


def _by_extreme_position(context: Context, difficulty: AttributeDifficulty) -> Draft:
    stream = context.stream
    word = stream.pick(tuple(POSITION_WORDS))
    coordinate, which = POSITION_WORDS[word]
    shape = stream.pick(ALL_SHAPES)
    colours = stream.sample(ALL_COLOURS, 4)
    extents = sizes(context, difficulty, difficulty.n_objects)
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    low, high = difficulty.size_px
    # Edges of two objects differ by half of their sizes' difference less than their centres do.
    margin = difficulty.margin_px + (high - low) // 2
    chosen = _choose_extreme(stream, points, "xy".index(coordinate), 1 if which == "min" else -1, margin)
    rest = [i for i in range(difficulty.n_objects) if i not in chosen]
    order = chosen + rest
    rest_colours = stream.shuffled(colours * (difficulty.times_each_colour - 1))
    fixed: list[Kind] = [(colour, other(stream, ALL_SHAPES, shape)) for colour in rest_colours]
    moved_extents, moved_points = [extents[i] for i in order], [points[i] for i in order]
    scenes = [
        scene([*((colour, shape) for colour in rotated(colours, i)), *fixed], moved_extents, moved_points)
        for i in range(4)
    ]
    of = program.extreme(coordinate, which, program.filter_(shape=shape))
    return _draft(f"{word} {shape}", of, colours, scenes, "colour_of_same_shape")


_BY = {"shape": _by_shape, "size_and_shape": _by_size_and_shape, "extreme_position": _by_extreme_position}


def build(context: Context, difficulty: AttributeDifficulty) -> Draft:
    return _BY[difficulty.refer_by](context, difficulty)


_CLEAR_PX = 12
"""Least difference of coordinates or edges to call one object further out than another."""
_LARGE_PX = 56
"""`large` and `small` objects lie well above and below this extent."""


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    noun = noun_in(question, BARE_NOUN)
    objects = [o for o in seen if o.shape == noun["shape"]]
    word = question[: noun.start()].split()[-1]
    outward: dict[str, Callable[[Seen], tuple[float, float]]] = {
        "leftmost": lambda o: (o.x, o.x - o.width / 2),
        "rightmost": lambda o: (-o.x, -o.x - o.width / 2),
        "topmost": lambda o: (o.y, o.y - o.height / 2),
        "bottommost": lambda o: (-o.y, -o.y - o.height / 2),
    }
    if word == "large":
        objects = [o for o in objects if o.extent >= _LARGE_PX]
    elif word == "small":
        objects = [o for o in objects if o.extent < _LARGE_PX]
    elif word in outward:
        measure = outward[word]
        first, second = sorted(objects, key=measure)[:2]
        edges = sorted(measure(o)[1] for o in objects)
        if measure(second)[0] - measure(first)[0] < _CLEAR_PX or measure(first)[1] > edges[1] - _CLEAR_PX:
            raise unclear(f"which {noun['shape']} is {word}")
        objects = [first]
    return the_one(objects, f"{word} {noun['shape']}").colour


TASK = SyntheticTask("attribute_query", levels=LEVELS, build=build, read=read, texts=texts)
