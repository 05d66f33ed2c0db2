"""What colour is the (described) object? The four scenes permute colours among objects of the same rank.

Every option colour occurs equally often in the picture, and in medium once among the large and once among the small
objects, so neither the number of objects of a colour nor its amount of ink tells the answer.
"""

from collections.abc import Sequence
from typing import Final, Literal

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import CrowdedError
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind, Scene
from vsc_eval.synthetic.seen import BARE_NOUN, Seen, noun_in, only, unclear
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, scene, turned


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

TEMPLATES = (
    "What colour is the {reference}?",
    "What is the colour of the {reference}?",
    "The {reference} has what colour?",
    "Which colour does the {reference} have?",
    "Name the colour of the {reference}.",
)
"""`reference` is a shape, or one with `large`, `small`, `leftmost` ... before it."""


Asked = tuple[str, Program, list[str], list[Scene]]
"""How the question names the object, the program that finds it, option colours, scenes."""


def _by_shape(context: Context, difficulty: AttributeDifficulty) -> Asked:
    shapes, colours = context.stream.sample(SHAPES, 4), context.stream.sample(COLOUR_NAMES, 4)
    extents, points = context.lay_out(difficulty)
    scenes = [scene(kinds, extents, points) for kinds in turned(colours, shapes)]
    of = program.unique(program.filter_(shape=shapes[0]))
    return shapes[0], of, colours, scenes


def _by_size_and_shape(context: Context, difficulty: AttributeDifficulty) -> Asked:
    stream = context.stream
    size, shape = stream.pick(("large", "small")), stream.pick(SHAPES)
    same_rank = [shape, *(stream.other(SHAPES, shape) for _ in range(3))]
    other_rank = [shape, *(stream.pick(SHAPES) for _ in range(3))]
    colours = stream.sample(COLOUR_NAMES, 4)
    fixed = list(zip(stream.shuffled(colours), other_rank, strict=True))
    large, small = ([stream.even(*span) for _ in range(4)] for span in (difficulty.large_px, difficulty.size_px))
    extents = large + small if size == "large" else small + large
    points = context.place(difficulty, extents)
    scenes = [scene(kinds, extents, points) for kinds in turned(colours, same_rank, fixed)]
    of = program.unique(program.filter_(shape=shape, size=size))
    return f"{size} {shape}", of, colours, scenes


def _by_extreme_position(context: Context, difficulty: AttributeDifficulty) -> Asked:
    stream = context.stream
    word, shape = stream.pick(tuple(POSITION_WORDS)), stream.pick(SHAPES)
    coordinate, which = POSITION_WORDS[word]
    colours = stream.sample(COLOUR_NAMES, 4)
    extents, points = context.lay_out(difficulty)
    low, high = difficulty.size_px
    # Edges of two objects differ by half of their sizes' difference less than their centres do.
    margin = difficulty.margin_px + (high - low) // 2
    axis, sign = "xy".index(coordinate), 1 if which == "min" else -1
    inward = sorted(range(len(points)), key=lambda i: sign * points[i][axis])
    # One to three objects lie further out than the extreme one of its shape; the margin divides it from the others.
    first = inward[stream.between(1, 3)]
    later = [i for i in inward if sign * (points[i][axis] - points[first][axis]) >= margin]
    if len(later) < 3:
        raise CrowdedError
    chosen = [first, *stream.sample(later, 3)]
    order = chosen + [i for i in range(len(points)) if i not in chosen]
    extents, points = [extents[i] for i in order], [points[i] for i in order]
    rest_colours = stream.shuffled(colours * (difficulty.times_each_colour - 1))
    fixed: list[Kind] = [(colour, stream.other(SHAPES, shape)) for colour in rest_colours]
    scenes = [scene(kinds, extents, points) for kinds in turned(colours, [shape] * 4, fixed)]
    of = program.extreme(coordinate, which, program.filter_(shape=shape))
    return f"{word} {shape}", of, colours, scenes


_BY = {
    "shape": (_by_shape, "colour_of_other_shape"),
    "size_and_shape": (_by_size_and_shape, "colour_of_same_size"),
    "extreme_position": (_by_extreme_position, "colour_of_same_shape"),
}


def build(context: Context, difficulty: AttributeDifficulty) -> Draft:
    ask, foil = _BY[difficulty.refer_by]
    reference, of, colours, scenes = ask(context, difficulty)
    return Draft(
        question=asked(TEMPLATES, reference=reference),
        options=colours,
        program=program.query_colour(of),
        scenes=scenes,
        intermediates=[{"referent": [s.objects[0].x, s.objects[0].y]} for s in scenes],
        kinds=[foil] * 4,
    )


_CLEAR_PX = 12
"""Least difference of coordinates or edges to call one object further out than another."""
_LARGE_PX = 56
"""`large` and `small` objects lie well above and below this extent."""
_OUTWARD = {"leftmost": (1, 0), "rightmost": (-1, 0), "topmost": (0, 1), "bottommost": (0, -1)}
"""Word -> what is small where an object lies far out, in terms of (x, y)."""


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    noun = noun_in(question, BARE_NOUN)
    objects = [o for o in seen if o.shape == noun["shape"]]
    word = question[: noun.start()].split()[-1]
    if word in ("large", "small"):
        objects = [o for o in objects if (o.extent >= _LARGE_PX) == (word == "large")]
    elif word in _OUTWARD:
        by_x, by_y = _OUTWARD[word]

        def centre_and_edge(o: Seen) -> tuple[float, float]:
            centre = by_x * o.x + by_y * o.y
            return centre, centre - (o.width if by_x else o.height) / 2

        objects = sorted(objects, key=centre_and_edge)
        (first, edge), (second, _) = map(centre_and_edge, objects[:2])
        next_edge = sorted(centre_and_edge(o)[1] for o in objects)[1]
        if second - first < _CLEAR_PX or edge > next_edge - _CLEAR_PX:
            raise unclear(f"which {noun['shape']} is {word}")
        objects = objects[:1]
    return only(objects, f"objects are {word} {noun['shape']}").colour


TASK = SyntheticTask("attribute_query", LEVELS, build, read, (*TEMPLATES, "large", "small", *POSITION_WORDS))
