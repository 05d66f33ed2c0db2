"""Which of these is (is not) in the image? The four options differ from each other in colour and in shape.

In hard two objects exchange their shapes from scene to scene, so every colour and every shape occurs equally often in
all four pictures: only the combination tells what is there.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Literal

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import Stream
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind
from vsc_eval.synthetic.seen import Seen, matching, noun_in, only
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, replaced, scene


class ExistenceDifficulty(Difficulty):
    foils: Literal["share_nothing", "share_one", "recombine"]
    """What a named, absent object has in common with the objects present."""


LEVELS = {
    "easy": ExistenceDifficulty(size_px=(48, 72), gap_px=24, n_objects=3, foils="share_nothing"),
    "medium": ExistenceDifficulty(size_px=(32, 44), gap_px=12, n_objects=6, foils="share_one"),
    "hard": ExistenceDifficulty(size_px=(20, 28), gap_px=8, n_objects=10, foils="recombine"),
}

EXISTENCE = (
    "Which of these is in the image?",
    "Which of these does the image show?",
    "Which of these can be seen in the image?",
    "Which of these appears in the picture?",
    "Which object is present?",
)
ABSENCE = (
    "Which of these is not in the image?",
    "Which of these does the image not show?",
    "Which of these cannot be seen in the image?",
    "Which of these does not appear in the picture?",
    "Which object is absent?",
)


def _simple(stream: Stream, difficulty: ExistenceDifficulty, negative: bool) -> tuple[list[Kind], list[list[Kind]]]:
    """Options, and for each scene the kinds of all objects, most of which no option names.

    The first four colours and shapes belong to the options, the others are free.
    """
    colours, shapes = stream.shuffled(COLOUR_NAMES), stream.shuffled(SHAPES)
    options = list(zip(colours[:4], shapes[:4], strict=True))
    if negative:
        named = [*(replaced(options[:3], {i: options[3]}) for i in range(3)), options[:3]]
    else:
        named = [[option] for option in options]
    n_fillers = difficulty.n_objects - len(named[0])
    fillers = [(stream.pick(colours[4:]), stream.pick(shapes[4:])) for _ in range(n_fillers)]
    if difficulty.foils == "share_one":
        # Of each option either the colour or the shape occurs.
        if negative:
            fillers = [(colours[0], shapes[1]), (colours[2], shapes[3]), fillers[0]]
        else:
            fillers[:2] = [(colours[i], fillers[i][1]) for i in (0, 1)]
            fillers[2:4] = [(fillers[i][0], shapes[i]) for i in (2, 3)]
    return options, [[*kinds, *fillers] for kinds in named]


def _recombined(stream: Stream, negative: bool) -> tuple[list[Kind], list[list[Kind]]]:
    """Options (c_i, s_i), and scenes made of four pairs of objects and two more; exchanging a pair's shapes shows or
    hides one option."""
    colours, shapes = stream.sample(COLOUR_NAMES, 4), stream.sample(SHAPES, 4)
    hidden = [[(colours[i], shapes[i - 3]), (colours[i - 2], shapes[i])] for i in range(4)]
    shown = [[(colours[i], shapes[i]), (colours[i - 2], shapes[i - 3])] for i in range(4)]
    extra = [(colours[i], shapes[i - 1]) for i in stream.sample(range(4), 2)]
    base, change = (shown, hidden) if negative else (hidden, shown)
    scenes = []
    for i in range(4):
        pairs = replaced(base, {i: change[i]})
        scenes.append([*itertools.chain.from_iterable(pairs), *extra])
    return list(zip(colours, shapes, strict=True)), scenes


def build(context: Context, difficulty: ExistenceDifficulty) -> Draft:
    stream = context.stream
    negative = bool(stream.below(2))
    if difficulty.foils == "recombine":
        options, kinds = _recombined(stream, negative)
    else:
        options, kinds = _simple(stream, difficulty, negative)
    extents, points = context.lay_out(difficulty)
    claims = [program.exists(program.filter_(*option)) for option in options]
    return Draft(
        question=asked(ABSENCE if negative else EXISTENCE),
        options=[" ".join(option) for option in options],
        program=program.which([program.not_(claim) for claim in claims] if negative else claims),
        scenes=[scene(k, extents, points) for k in kinds],
        intermediates=[{"present": [option in k for option in options]} for k in kinds],
        kinds=[difficulty.foils] * 4,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    wanted = not re.search(r"\b(not|cannot|absent)\b", question)
    return only([o for o in options if bool(matching(seen, noun_in(o))) == wanted], "options fit")


TASK = SyntheticTask("existence", LEVELS, build, read, (*EXISTENCE, *ABSENCE))
