"""Where is A relative to B? The pair turns about its midpoint in quarter turns; nothing else moves.

Turning about the midpoint, and not A about a fixed B, keeps A's own place on the canvas from giving the answer away.
"""

import re
from collections.abc import Sequence
from typing import Final

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import MARGIN_PX, PHASES, Point, Stream
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind
from vsc_eval.synthetic.seen import NOUN, Seen, matching, only, unclear
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, rotated, scene


class SpatialDifficulty(Difficulty):
    offset_px: tuple[int, int]
    """Distance of the centres along the axis that decides the answer."""
    off_axis_px: int
    """Greatest distance along the other axis ..."""
    off_axis_ratio: float
    """... and its greatest ratio to the deciding distance."""


LEVELS = {
    "easy": SpatialDifficulty(
        size_px=(48, 72), gap_px=24, n_objects=2, offset_px=(160, 240), off_axis_px=20, off_axis_ratio=1.0
    ),
    "medium": SpatialDifficulty(
        size_px=(36, 56), gap_px=16, n_objects=4, offset_px=(96, 160), off_axis_px=448, off_axis_ratio=0.4
    ),
    "hard": SpatialDifficulty(
        size_px=(28, 44), gap_px=8, n_objects=8, offset_px=(56, 96), off_axis_px=448, off_axis_ratio=0.6
    ),
}

RELATIONS: Final = ("left", "right", "above", "below")

TEMPLATES = (
    "Where is the {a} relative to the {b}?",
    "Relative to the {b}, where is the {a}?",
    "Where is the {a}, seen from the {b}?",
    "In which direction from the {b} does the {a} lie?",
    "Compared with the {b}, where is the {a}?",
)


def _half_offset(stream: Stream, difficulty: SpatialDifficulty) -> Point:
    """Half of B - A along and across the deciding axis.

    Both are even and equal mod 4: then all four turns of the pair stay on the split's lattice.
    """
    low, high = difficulty.offset_px
    along = stream.even(low // 2, high // 2)
    limit = int(min(difficulty.off_axis_px, difficulty.off_axis_ratio * 2 * along)) // 2
    across = stream.pick([d for d in range(-limit, limit + 1) if (d - along) % PHASES == 0])
    return along, across


def _distractors(stream: Stream, a: Kind, b: Kind, n: int) -> list[Kind]:
    """`n` kinds other than a and b; every second one shares an attribute with one of them."""
    kinds: list[Kind] = []
    while len(kinds) < n:
        colour, shape = stream.pick(COLOUR_NAMES), stream.pick(SHAPES)
        if len(kinds) % 2 == 0:
            near = stream.pick((a, b))
            colour, shape = (near[0], shape) if stream.below(2) else (colour, near[1])
        if (colour, shape) not in (a, b):
            kinds.append((colour, shape))
    return kinds


def build(context: Context, difficulty: SpatialDifficulty) -> Draft:
    stream = context.stream
    a = (stream.pick(COLOUR_NAMES), stream.pick(SHAPES))
    b = (stream.other(COLOUR_NAMES, a[0]), stream.other(SHAPES, a[1]))
    extents = context.extents(difficulty)
    along, across = _half_offset(stream, difficulty)
    reach = max(extents[:2])
    x, y = stream.point(MARGIN_PX + reach // 2 + max(along, abs(across)), context.phase)
    left, right = (x - along, y - across), (x + along, y + across)
    above, below = (x + across, y - along), (x - across, y + along)
    pair = {"left": (left, right), "right": (right, left), "above": (above, below), "below": (below, above)}
    rest = context.place(difficulty, extents[2:], taken=[(*point, reach) for point in (left, right, above, below)])
    kinds = [a, b, *_distractors(stream, a, b, difficulty.n_objects - 2)]
    options = rotated(RELATIONS, context.orbit)
    return Draft(
        question=asked(TEMPLATES, a=" ".join(a), b=" ".join(b)),
        options=options,
        program=program.relate(*(program.unique(program.filter_(*kind)) for kind in (a, b))),
        scenes=[scene(kinds, extents, [*pair[option], *rest]) for option in options],
        intermediates=[
            {"a": list(pair[option][0]), "b": list(pair[option][1]), "offset_px": 2 * along, "off_axis_px": 2 * across}
            for option in options
        ],
        kinds=["direction"] * 4,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    places: dict[bool, Seen] = {}
    for noun in NOUN.finditer(question):
        is_reference = bool(re.search(r"(relative to|from|compared with) the $", question[: noun.start()].lower()))
        places[is_reference] = only(matching(seen, noun), f"objects are {noun[0]}")
    a, b = places[False], places[True]
    dx, dy = a.x - b.x, a.y - b.y
    across = abs(dx) > abs(dy)
    apart = abs(dx) - (a.width + b.width) / 2 if across else abs(dy) - (a.height + b.height) / 2
    if apart < 4 or min(abs(dx), abs(dy)) > 0.65 * max(abs(dx), abs(dy)):
        raise unclear(f"direction ({dx}, {dy})")
    if across:
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


TASK = SyntheticTask("spatial_relation", LEVELS, build, read, (*TEMPLATES, *RELATIONS))
