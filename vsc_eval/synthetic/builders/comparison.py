"""Which colour is the largest (smallest) object of a shape? The four scenes permute that shape's colours.

Objects of other shapes keep their option colours; some are larger (smaller) than the answer.
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
)
from vsc_eval.synthetic.difficulty import ComparisonDifficulty
from vsc_eval.synthetic.layout import place
from vsc_eval.synthetic.streams import Stream


def _ranked_sizes(stream: Stream, difficulty: ComparisonDifficulty, largest: bool) -> tuple[list[int], list[int]]:
    """Extents of the four compared objects, the answer first and the runner-up second, and of the others."""
    least, greatest = difficulty.size_px
    n_others = difficulty.n_objects - 4
    if largest:
        top = stream.even(*difficulty.extreme_px)
        limit = min(int(top / difficulty.ratio), top - difficulty.margin_px)
        runner = stream.even(max(least, int(limit / difficulty.slack)), limit)
        compared = [top, runner, *(stream.even(max(least, runner * 2 // 3), runner) for _ in range(2))]
        beyond = (top + difficulty.margin_px, min(greatest, top * 4 // 3 + difficulty.margin_px))
        within = (max(least, top * 3 // 5), top)
    else:
        top = stream.even(*difficulty.smallest_px)
        limit = max(-int(-top * difficulty.ratio // 1), top + difficulty.margin_px)
        runner = stream.even(limit, min(greatest, int(limit * difficulty.slack) + 2))
        compared = [top, runner, *(stream.even(runner, min(greatest, runner * 3 // 2)) for _ in range(2))]
        beyond = (max(least, top * 3 // 5), top - difficulty.margin_px)
        within = (top, min(greatest, top * 5 // 3))
    others = [stream.even(*(beyond if i < difficulty.n_beyond else within)) for i in range(n_others)]
    return compared, others


def build(context: Context, difficulty: ComparisonDifficulty) -> Draft:
    stream = context.stream
    largest = bool(stream.below(2))
    word = "largest" if largest else "smallest"
    shape = stream.pick(ALL_SHAPES)
    colours = stream.sample(ALL_COLOURS, 4)
    compared, others = _ranked_sizes(stream, difficulty, largest)
    extents = compared + others
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    fixed: list[Kind] = [
        (colour, other(stream, ALL_SHAPES, shape)) for colour in stream.shuffled(colours)[: len(others)]
    ]
    scenes = [scene([*((colour, shape) for colour in rotated(colours, i)), *fixed], extents, points) for i in range(4)]
    ratio = max(compared[:2]) / min(compared[:2])
    return Draft(
        question=lambda template: phrasing.comparison_question(word, shape, template),
        options=colours,
        program=program.query_colour(
            program.extreme("size", "max" if largest else "min", program.filter_(shape=shape))
        ),
        scenes=scenes,
        intermediates=[{"size_px": compared[0], "runner_up_px": compared[1], "ratio": round(ratio, 3)}] * 4,
        kinds=["colour_of_same_shape"] * 4,
    )
