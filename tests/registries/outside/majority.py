"""A synthetic task: which colour do most objects have? Scene i gives `lead` more objects to option i."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vsc_eval.errors import DataError
from vsc_eval.synthetic import Scene
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES
from vsc_eval.synthetic.seen import Seen
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, scene


class MajorityDifficulty(Difficulty):
    lead: int
    """Objects of the most frequent colour beyond those of every other."""


LEVELS = {
    "easy": MajorityDifficulty(size_px=(40, 60), gap_px=16, n_objects=7, lead=3),
    "medium": MajorityDifficulty(size_px=(36, 48), gap_px=12, n_objects=10, lead=2),
    "hard": MajorityDifficulty(size_px=(28, 40), gap_px=8, n_objects=13, lead=1),
}

_TEMPLATES = (
    "Which colour do most objects have?",
    "What colour are most of the objects?",
    "Most objects are of which colour?",
    "Which colour is the most frequent one?",
    "Name the colour of most objects.",
)


def build(context: Context, difficulty: MajorityDifficulty) -> Draft:
    stream = context.stream
    colours = stream.sample(COLOUR_NAMES, 4)
    shapes = [stream.pick(SHAPES) for _ in range(difficulty.n_objects)]
    extents, points = context.lay_out(difficulty)
    each = (difficulty.n_objects - difficulty.lead) // 4
    drawn = [[*(c for c in colours for _ in range(each)), *[gold] * difficulty.lead] for gold in colours]
    return Draft(
        question=_TEMPLATES.__getitem__,
        options=colours,
        program={"op": "most_frequent_colour"},
        scenes=[scene(list(zip(of, shapes, strict=True)), extents, points) for of in drawn],
        intermediates=[{"n_each": each}] * 4,
        kinds=["less_frequent"] * 4,
    )


def _only_mode(colours: Sequence[str]) -> str:
    (first, n), (_, m) = Counter(colours).most_common(2)
    if n == m:
        raise DataError("Two colours are equally frequent.", hint="Regenerate the item.")
    return first


def most_frequent_colour(_program: Program, of: Scene) -> str:
    """The task's own program."""
    return _only_mode([o.colour for o in of.objects])


def read(seen: Sequence[Seen], _question: str, _options: Sequence[str]) -> str:
    return _only_mode([o.colour for o in seen])


MAJORITY = SyntheticTask(
    "majority", levels=LEVELS, build=build, read=read, ops={"most_frequent_colour": most_frequent_colour}
)
