"""What colour is the (described) object? The four scenes permute colours among objects of the same rank.

Every option colour occurs equally often in the picture, and in medium once among the large and once among the small
objects, so neither the number of objects of a colour nor its amount of ink tells the answer.
"""

from __future__ import annotations

from vsc_eval.synthetic import phrasing, program
from vsc_eval.synthetic.builders.draft import (
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
from vsc_eval.synthetic.difficulty import AttributeDifficulty
from vsc_eval.synthetic.layout import CrowdedError, Point, place
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.scene import Scene
from vsc_eval.synthetic.streams import Stream


def _draft(reference: str, of: Program, colours: list[str], scenes: list[Scene], kind: str) -> Draft:
    return Draft(
        question=lambda template: phrasing.attribute_question(reference, template),
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
    word = stream.pick(tuple(phrasing.POSITION_WORDS))
    coordinate, which = phrasing.POSITION_WORDS[word]
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
