"""Which of these is (is not) in the image? The four options differ from each other in colour and in shape.

In hard two objects exchange their shapes from scene to scene, so every colour and every shape occurs equally often in
all four pictures: only the combination tells what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from vsc_eval.synthetic import program
from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import place
from vsc_eval.synthetic.phrasing import object_phrase
from vsc_eval.synthetic.reading import matching, noun_in, unclear
from vsc_eval.synthetic.scene import COLOURS, SHAPES
from vsc_eval.synthetic.seen import Seen
from vsc_eval.synthetic.streams import Stream
from vsc_eval.synthetic.tasks.base import SyntheticTask
from vsc_eval.synthetic.tasks.draft import ALL_COLOURS, ALL_SHAPES, Context, Draft, Kind, replaced, scene, sizes


class ExistenceDifficulty(Difficulty):
    foils: Literal["share_nothing", "share_one", "recombine"]
    """What a named, absent object has in common with the objects present."""


LEVELS = {
    "easy": ExistenceDifficulty(size_px=(48, 72), gap_px=24, n_objects=3, foils="share_nothing"),
    "medium": ExistenceDifficulty(size_px=(32, 44), gap_px=12, n_objects=6, foils="share_one"),
    "hard": ExistenceDifficulty(size_px=(20, 28), gap_px=8, n_objects=10, foils="recombine"),
}

_EXISTENCE = (
    "Which of these is in the image?",
    "Which of these does the image show?",
    "Which of these can be seen in the image?",
    "Which of these appears in the picture?",
    "Which object is present?",
)
_ABSENCE = (
    "Which of these is not in the image?",
    "Which of these does the image not show?",
    "Which of these cannot be seen in the image?",
    "Which of these does not appear in the picture?",
    "Which object is absent?",
)


def question(negative: bool, template: int) -> str:
    """Options are object phrases."""
    return (_ABSENCE if negative else _EXISTENCE)[template]


def texts() -> Iterator[str]:
    """Every word of the questions and options."""
    yield from (*_EXISTENCE, *_ABSENCE, *COLOURS, *SHAPES)


def _fillers(
    stream: Stream, colours: list[str], shapes: list[str], difficulty: ExistenceDifficulty, n: int
) -> list[Kind]:
    """Objects that no option names. The first four colours and shapes belong to the options, the others are free.

    share_nothing: colours and shapes of no option. share_one: of each option either the colour or the shape occurs.
    """
    free = [(stream.pick(colours[4:]), stream.pick(shapes[4:])) for _ in range(n)]
    if difficulty.foils == "share_nothing":
        return free
    if n == 3:
        return [(colours[0], shapes[1]), (colours[2], shapes[3]), free[0]]
    return [
        (colours[0], free[0][1]),
        (colours[1], free[1][1]),
        (free[2][0], shapes[2]),
        (free[3][0], shapes[3]),
        *free[4:],
    ]


def _simple(stream: Stream, difficulty: ExistenceDifficulty, negative: bool) -> tuple[list[Kind], list[list[Kind]]]:
    """Options, and for each scene the kinds of all objects."""
    colours, shapes = stream.shuffled(ALL_COLOURS), stream.shuffled(ALL_SHAPES)
    options: list[Kind] = list(zip(colours[:4], shapes[:4], strict=True))
    n_named = 3 if negative else 1
    fillers = _fillers(stream, colours, shapes, difficulty, difficulty.n_objects - n_named)
    if not negative:
        return options, [[option, *fillers] for option in options]
    present = [replaced(options[:3], {i: options[3]}) for i in range(3)]
    return options, [[*kinds, *fillers] for kinds in (*present, options[:3])]


def _recombined(stream: Stream, negative: bool) -> tuple[list[Kind], list[list[Kind]]]:
    """Options (c_i, s_i), and scenes made of four pairs of objects and two more; exchanging a pair's shapes shows or
    hides one option."""
    colours, shapes = stream.sample(ALL_COLOURS, 4), stream.sample(ALL_SHAPES, 4)
    options: list[Kind] = list(zip(colours, shapes, strict=True))
    hidden: list[Kind] = []
    shown: list[Kind] = []
    for i in range(4):
        hidden += [(colours[i], shapes[i - 3]), (colours[i - 2], shapes[i])]
        shown += [(colours[i], shapes[i]), (colours[i - 2], shapes[i - 3])]
    extra = [(colours[i], shapes[i - 1]) for i in stream.sample(range(4), 2)]
    base, change = (shown, hidden) if negative else (hidden, shown)
    scenes = [[*replaced(base, {2 * i: change[2 * i], 2 * i + 1: change[2 * i + 1]}), *extra] for i in range(4)]
    return options, scenes


def build(context: Context, difficulty: ExistenceDifficulty) -> Draft:
    stream = context.stream
    negative = bool(stream.below(2))
    if difficulty.foils == "recombine":
        options, kinds = _recombined(stream, negative)
    else:
        options, kinds = _simple(stream, difficulty, negative)
    extents = sizes(context, difficulty, difficulty.n_objects)
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    claims = [program.exists(program.filter_(colour=colour, shape=shape)) for colour, shape in options]
    return Draft(
        question=lambda template: question(negative, template),
        options=[object_phrase(*option) for option in options],
        program=program.which([program.not_(claim) for claim in claims] if negative else claims),
        scenes=[scene(k, extents, points) for k in kinds],
        intermediates=[{"present": [option in k for option in options]} for k in kinds],
        kinds=[difficulty.foils] * 4,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    wanted = not re.search(r"\b(not|cannot|absent)\b", question)
    fitting = [option for option in options if bool(matching(seen, noun_in(option))) == wanted]
    if len(fitting) != 1:
        raise unclear(f"{len(fitting)} options fit")
    return fitting[0]


TASK = SyntheticTask("existence", levels=LEVELS, build=build, read=read, texts=texts)
