"""Which colour is the largest (smallest) object of a shape? The four scenes permute that shape's colours.

Objects of other shapes keep their option colours; some are larger (smaller) than the answer.
"""

from collections.abc import Sequence

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import Stream
from vsc_eval.synthetic.program import plural
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind
from vsc_eval.synthetic.seen import BARE_NOUN, Seen, noun_in, unclear
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, scene, turned


class ComparisonDifficulty(Difficulty):
    ratio: float
    """Least ratio between the extreme object's extent and the runner-up's."""
    slack: float
    """The runner-up's ratio is at most `ratio * slack`."""
    margin_px: int = 6
    """Least difference between the same two extents."""
    extreme_px: tuple[int, int]
    """Extent of the largest object, when the largest is asked for ..."""
    smallest_px: tuple[int, int]
    """... and of the smallest, when that is."""
    n_beyond: int = 2
    """Objects of other shapes that are larger (smaller) than the answer."""


LEVELS = {
    "easy": ComparisonDifficulty(
        size_px=(28, 112), gap_px=16, n_objects=4, n_beyond=0,
        ratio=1.6, slack=2.0, extreme_px=(80, 112), smallest_px=(28, 44),
    ),
    "medium": ComparisonDifficulty(
        size_px=(24, 112), gap_px=12, n_objects=6,
        ratio=1.3, slack=1.15, extreme_px=(64, 92), smallest_px=(36, 48),
    ),
    "hard": ComparisonDifficulty(
        size_px=(24, 96), gap_px=8, n_objects=8,
        ratio=1.15, slack=1.08, extreme_px=(52, 72), smallest_px=(40, 52),
    ),
}  # fmt: skip

TEMPLATES = (
    "Which colour is the {extreme} {shape}?",
    "Of all the {shapes}, which colour is the {extreme} one?",
    "Compare the {shapes}. Which colour is the {extreme} one?",
    "Look for the {extreme} {shape}. Which colour is it?",
    "The {extreme} of the {shapes} is which colour?",
)


def _ranked_sizes(stream: Stream, difficulty: ComparisonDifficulty, largest: bool) -> tuple[list[int], list[int]]:
    """Extents of the four compared objects, the answer first and the runner-up second, and of the others."""
    least, greatest = difficulty.size_px
    margin, ratio, slack = difficulty.margin_px, difficulty.ratio, difficulty.slack
    if largest:
        top = stream.even(*difficulty.extreme_px)
        limit = min(int(top / ratio), top - margin)
        runner = stream.even(max(least, int(limit / slack)), limit)
        third = (max(least, runner * 2 // 3), runner)
        beyond = (top + margin, min(greatest, top * 4 // 3 + margin))
        within = (max(least, top * 3 // 5), top)
    else:
        top = stream.even(*difficulty.smallest_px)
        limit = max(-int(-top * ratio // 1), top + margin)
        runner = stream.even(limit, min(greatest, int(limit * slack) + 2))
        third = (runner, min(greatest, runner * 3 // 2))
        beyond = (max(least, top * 3 // 5), top - margin)
        within = (top, min(greatest, top * 5 // 3))
    compared = [top, runner, stream.even(*third), stream.even(*third)]
    n_others = difficulty.n_objects - len(compared)
    return compared, [stream.even(*(beyond if i < difficulty.n_beyond else within)) for i in range(n_others)]


def build(context: Context, difficulty: ComparisonDifficulty) -> Draft:
    stream = context.stream
    word, which = ("largest", "max") if stream.below(2) else ("smallest", "min")
    shape = stream.pick(SHAPES)
    colours = stream.sample(COLOUR_NAMES, 4)
    compared, others = _ranked_sizes(stream, difficulty, word == "largest")
    extents = compared + others
    points = context.place(difficulty, extents)
    fixed: list[Kind] = [(colour, stream.other(SHAPES, shape)) for colour in stream.shuffled(colours)[: len(others)]]
    ratio = max(compared[:2]) / min(compared[:2])
    return Draft(
        question=asked(TEMPLATES, extreme=word, shape=shape, shapes=plural(shape)),
        options=colours,
        program=program.query_colour(program.extreme("size", which, program.filter_(shape=shape))),
        scenes=[scene(kinds, extents, points) for kinds in turned(colours, [shape] * 4, fixed)],
        intermediates=[{"size_px": compared[0], "runner_up_px": compared[1], "ratio": round(ratio, 3)}] * 4,
        kinds=["colour_of_same_shape"] * 4,
    )


_CLEAR_EXTENT_PX = 4
"""Least difference of extents to call one object larger; the tip of a star or heart can be a pixel short."""


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    shape = noun_in(question, BARE_NOUN)["shape"]
    ranked = sorted((o for o in seen if o.shape == shape), key=lambda o: o.area, reverse="largest" in question)
    small, big = sorted(ranked[:2], key=lambda o: o.area)
    if big.area < 1.2 * small.area or big.extent - small.extent < _CLEAR_EXTENT_PX:
        raise unclear(f"extents {big.extent} and {small.extent}")
    return ranked[0].colour


TASK = SyntheticTask("comparison", LEVELS, build, read, (*TEMPLATES, "largest", "smallest"))
