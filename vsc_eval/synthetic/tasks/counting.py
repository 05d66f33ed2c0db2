"""How many objects of one colour and shape? The four scenes differ in what up to three objects are.

Except in easy, a lower count turns targets into distractors, so that the number of objects does not give the answer
away. In medium each such target exchanges shapes with an object that shares nothing with it: every colour and every
shape then occurs equally often in all four scenes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

from vsc_eval.synthetic import program
from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import place
from vsc_eval.synthetic.phrasing import N_TEMPLATES, plural
from vsc_eval.synthetic.reading import matching, noun_in
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
    replaced,
    rotated,
    scene,
    sizes,
)


class CountingDifficulty(Difficulty):
    counts: tuple[int, int]
    """Range of the answer; the four options are the four numbers in it."""
    distractors: Literal["none", "at_most_one", "exactly_one"]
    """How many of (colour, shape) a distractor shares with what is counted."""


LEVELS = {
    "easy": CountingDifficulty(size_px=(44, 72), gap_px=24, n_objects=4, counts=(1, 4), distractors="none"),
    "medium": CountingDifficulty(size_px=(36, 56), gap_px=12, n_objects=12, counts=(4, 7), distractors="at_most_one"),
    "hard": CountingDifficulty(size_px=(24, 48), gap_px=8, n_objects=18, counts=(6, 9), distractors="exactly_one"),
}

_TEMPLATES = (
    "How many {colour} {shapes} are there?",
    "How many {colour} {shapes} are in the image?",
    "Count the {colour} {shapes}. How many are there?",
    "What is the number of {colour} {shapes}?",
    "The image shows how many {colour} {shapes}?",
)


def question(colour: str, shape: str, template: int) -> str:
    """Options are numbers: `str(n)`."""
    return _TEMPLATES[template].format(colour=colour, shapes=plural(shape))


def texts() -> Iterator[str]:
    """Every word of the questions and options."""
    for colour, shape in itertools.product(COLOURS, SHAPES):
        yield from (question(colour, shape, template) for template in range(N_TEMPLATES))
    yield from map(str, range(10))


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
        question=lambda template: question(colour, shape, template),
        options=[str(count) for count in counts],
        program=program.count(program.filter_(colour=colour, shape=shape)),
        scenes=scenes,
        intermediates=[
            {"n_objects": len(s.objects), "n_colour": sum(o.colour == colour for o in s.objects)} for s in scenes
        ],
        kinds=["other_count"] * 4,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    return str(len(matching(seen, noun_in(question))))


TASK = SyntheticTask("counting", levels=LEVELS, build=build, read=read, texts=texts)
