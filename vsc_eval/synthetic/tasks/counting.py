"""How many objects of one colour and shape? The four scenes differ in what up to three objects are.

Except in easy, a lower count turns targets into distractors, so that the number of objects does not give the answer
away. In medium each such target exchanges shapes with an object that shares nothing with it: every colour and every
shape then occurs equally often in all four scenes.
"""

from collections.abc import Sequence
from typing import Literal

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import Stream
from vsc_eval.synthetic.program import plural
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind
from vsc_eval.synthetic.seen import Seen, matching, noun_in
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, replaced, rotated, scene


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

TEMPLATES = (
    "How many {colour} {shapes} are there?",
    "How many {colour} {shapes} are in the image?",
    "Count the {colour} {shapes}. How many are there?",
    "What is the number of {colour} {shapes}?",
    "The image shows how many {colour} {shapes}?",
)


def _sharing(stream: Stream, target: Kind, n_shared: int) -> Kind:
    """A kind that has exactly `n_shared` (0 or 1) of colour and shape in common with `target`."""
    colour, shape = target
    if n_shared == 0:
        return stream.other(COLOUR_NAMES, colour), stream.other(SHAPES, shape)
    if stream.below(2):
        return colour, stream.other(SHAPES, shape)
    return stream.other(COLOUR_NAMES, colour), shape


def _kinds(stream: Stream, target: Kind, difficulty: CountingDifficulty) -> list[list[Kind]]:
    """The objects' kinds for each number of targets that are flipped into distractors, 0 to 3."""
    low, high = difficulty.counts
    flips = high - low
    rest = difficulty.n_objects - high
    targets = [target] * high
    if difficulty.distractors == "none":
        return [targets[n:] for n in range(flips + 1)]
    changes: list[dict[int, Kind]]
    if difficulty.distractors == "exactly_one":
        full = targets + [_sharing(stream, target, 1) for _ in range(rest)]
        changes = [{high - 1 - i: _sharing(stream, target, 1)} for i in range(flips)]
    else:
        partners = [_sharing(stream, target, 0) for _ in range(flips)]
        full = targets + partners + [_sharing(stream, target, stream.below(2)) for _ in range(rest - flips)]
        changes = [
            {high - 1 - i: (target[0], shape), high + i: (colour, target[1])}
            for i, (colour, shape) in enumerate(partners)
        ]
    by_flips = [full]
    for change in changes:
        by_flips.append(replaced(by_flips[-1], change))
    return by_flips


def build(context: Context, difficulty: CountingDifficulty) -> Draft:
    stream = context.stream
    colour, shape = stream.pick(COLOUR_NAMES), stream.pick(SHAPES)
    extents, points = context.lay_out(difficulty)
    low, high = difficulty.counts
    by_flips = _kinds(stream, (colour, shape), difficulty)
    counts = rotated(range(low, high + 1), context.orbit)
    scenes = [scene(by_flips[high - count], extents, points) for count in counts]
    return Draft(
        question=asked(TEMPLATES, colour=colour, shapes=plural(shape)),
        options=[str(count) for count in counts],
        program=program.count(program.filter_(colour, shape)),
        scenes=scenes,
        intermediates=[
            {"n_objects": len(s.objects), "n_colour": sum(o.colour == colour for o in s.objects)} for s in scenes
        ],
        kinds=["other_count"] * 4,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    return str(len(matching(seen, noun_in(question))))


TASK = SyntheticTask("counting", LEVELS, build, read, (*TEMPLATES, *map(str, range(10))))
