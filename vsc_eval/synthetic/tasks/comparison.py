"""Which colour is the largest (smallest) object of a shape? The four scenes permute that shape's colours.

Objects of other shapes keep their option colours; some are larger (smaller) than the answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from vsc_eval.synthetic import program
from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import place
from vsc_eval.synthetic.phrasing import N_TEMPLATES, plural
from vsc_eval.synthetic.reading import BARE_NOUN, noun_in, unclear
from vsc_eval.synthetic.scene import COLOURS, SHAPES
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
)


class ComparisonDifficulty(Difficulty):
    ratio: float
    """Least ratio between the extreme object's extent and the runner-up's."""
    slack: float
    """The runner-up's ratio is at most `ratio * slack`."""
    margin_px: int
    """Least difference between the same two extents."""
    extreme_px: tuple[int, int]
    """Extent of the largest object, when the largest is asked for ..."""
    smallest_px: tuple[int, int]
    """... and of the smallest, when that is."""
    n_beyond: int
    """Objects of other shapes that are larger (smaller) than the answer."""


LEVELS = {
    "easy": ComparisonDifficulty(
        size_px=(28, 112),
        gap_px=16,
        n_objects=4,
        ratio=1.6,
        slack=2.0,
        margin_px=6,
        extreme_px=(80, 112),
        smallest_px=(28, 44),
        n_beyond=0,
    ),
    "medium": ComparisonDifficulty(
        size_px=(24, 112),
        gap_px=12,
        n_objects=6,
        ratio=1.3,
        slack=1.15,
        margin_px=6,
        extreme_px=(64, 92),
        smallest_px=(36, 48),
        n_beyond=2,
    ),
    "hard": ComparisonDifficulty(
        size_px=(24, 96),
        gap_px=8,
        n_objects=8,
        ratio=1.15,
        slack=1.08,
        margin_px=6,
        extreme_px=(52, 72),
        smallest_px=(40, 52),
        n_beyond=2,
    ),
}

_TEMPLATES = (
    "Which colour is the {extreme} {shape}?",
    "Of all the {shapes}, which colour is the {extreme} one?",
    "Compare the {shapes}. Which colour is the {extreme} one?",
    "Look for the {extreme} {shape}. Which colour is it?",
    "The {extreme} of the {shapes} is which colour?",
)


def question(extreme: str, shape: str, template: int) -> str:
    """`extreme` is `largest` or `smallest`; options are colours."""
    return _TEMPLATES[template].format(extreme=extreme, shape=shape, shapes=plural(shape))


def texts() -> Iterator[str]:
    """Every word of the questions and options."""
    for extreme, shape in itertools.product(("largest", "smallest"), SHAPES):
        yield from (question(extreme, shape, template) for template in range(N_TEMPLATES))
    yield from COLOURS


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
        question=lambda template: question(word, shape, template),
        options=colours,
        program=program.query_colour(
            program.extreme("size", "max" if largest else "min", program.filter_(shape=shape))
        ),
        scenes=scenes,
        intermediates=[{"size_px": compared[0], "runner_up_px": compared[1], "ratio": round(ratio, 3)}] * 4,
        kinds=["colour_of_same_shape"] * 4,
    )


_CLEAR_EXTENT_PX = 4
"""Least difference of extents to call one object larger; the tip of a star or heart can be a pixel short."""


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    shape = noun_in(question, BARE_NOUN)["shape"]
    largest = "largest" in question
    ranked = sorted((o for o in seen if o.shape == shape), key=lambda o: -o.area if largest else o.area)
    big, small = (ranked[0], ranked[1]) if largest else (ranked[1], ranked[0])
    if big.area < 1.2 * small.area or big.extent - small.extent < _CLEAR_EXTENT_PX:
        raise unclear(f"extents {big.extent} and {small.extent}")
    return ranked[0].colour


TASK = SyntheticTask("comparison", levels=LEVELS, build=build, read=read, texts=texts)
