"""How many objects of one colour and shape? The four scenes differ in what up to three objects are.

Except in easy, a lower count turns targets into distractors, so that the number of objects does not give the answer
away. In medium each such target exchanges shapes with an object that shares nothing with it: every colour and every
shape then occurs equally often in all four scenes.
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
    replaced,
    rotated,
    scene,
    sizes,
)
from vsc_eval.synthetic.difficulty import CountingDifficulty
from vsc_eval.synthetic.layout import place
from vsc_eval.synthetic.streams import Stream


def _sharing(stream: Stream, target: Kind, n_shared: int) -> Kind:
    """A kind that has exactly `n_shared` (0 or 1) of colour and shape in common with `target`."""
    colour, shape = target
    if n_shared == 0:
        return other(stream, ALL_COLOURS, colour), other(stream, ALL_SHAPES, shape)
    if stream.below(2):
        return colour, other(stream, ALL_SHAPES, shape)
    return other(stream, ALL_COLOURS, colour), shape


def _kinds(stream: Stream, target: Kind, difficulty: CountingDifficulty) -> list[list[Kind]]:
    """The objects' kinds for each count, lowest count first."""
    low, high = difficulty.counts
    flips = high - low
    rest = difficulty.n_objects - high
    if difficulty.distractors == "none":
        return [[target] * count for count in range(low, high + 1)]
    if difficulty.distractors == "exactly_one":
        full = [target] * high + [_sharing(stream, target, 1) for _ in range(rest)]
        turned = [_sharing(stream, target, 1) for _ in range(flips)]
        return [
            replaced(full, {high - 1 - i: turned[i] for i in range(high - count)}) for count in range(low, high + 1)
        ]
    partners = [_sharing(stream, target, 0) for _ in range(flips)]
    full = [target] * high + partners + [_sharing(stream, target, stream.below(2)) for _ in range(rest - flips)]
    by_count = []
    for count in range(low, high + 1):
        changes: dict[int, Kind] = {}
        for i in range(high - count):
            changes[high - 1 - i] = (target[0], partners[i][1])
            changes[high + i] = (partners[i][0], target[1])
        by_count.append(replaced(full, changes))
    return by_count


def build(context: Context, difficulty: CountingDifficulty) -> Draft:
    stream = context.stream
    colour, shape = target = stream.pick(ALL_COLOURS), stream.pick(ALL_SHAPES)
    extents = sizes(context, difficulty, difficulty.n_objects)
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    low, high = difficulty.counts
    by_count = _kinds(stream, target, difficulty)
    counts = rotated(range(low, high + 1), context.orbit)
    scenes = []
    for count in counts:
        kinds = by_count[count - low]
        scenes.append(scene(kinds, extents[: len(kinds)], points[: len(kinds)]))
    return Draft(
        question=lambda template: phrasing.count_question(colour, shape, template),
        options=[str(count) for count in counts],
        program=program.count(program.filter_(colour=colour, shape=shape)),
        scenes=scenes,
        intermediates=[
            {"n_objects": len(s.objects), "n_colour": sum(o.colour == colour for o in s.objects)} for s in scenes
        ],
        kinds=["other_count"] * 4,
    )
