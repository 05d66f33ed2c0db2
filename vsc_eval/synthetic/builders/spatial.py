"""Where is A relative to B? The pair turns about its midpoint in quarter turns; nothing else moves.

Turning about the midpoint, and not A about a fixed B, keeps A's own place on the canvas from giving the answer away.
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
    sizes,
)
from vsc_eval.synthetic.difficulty import SpatialDifficulty
from vsc_eval.synthetic.layout import MARGIN_PX, PHASES, Point, place, snap
from vsc_eval.synthetic.scene import CANVAS
from vsc_eval.synthetic.streams import Stream


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
        colour, shape = stream.pick(ALL_COLOURS), stream.pick(ALL_SHAPES)
        if len(kinds) % 2 == 0:
            near = stream.pick((a, b))
            colour, shape = (near[0], shape) if stream.below(2) else (colour, near[1])
        if (colour, shape) not in (a, b):
            kinds.append((colour, shape))
    return kinds


def build(context: Context, difficulty: SpatialDifficulty) -> Draft:
    stream = context.stream
    a: Kind = (stream.pick(ALL_COLOURS), stream.pick(ALL_SHAPES))
    b: Kind = (other(stream, ALL_COLOURS, a[0]), other(stream, ALL_SHAPES, a[1]))
    extents = sizes(context, difficulty, difficulty.n_objects)
    along, across = _half_offset(stream, difficulty)
    reach = max(extents[:2])
    low = MARGIN_PX + reach // 2 + max(along, abs(across))
    span = CANVAS - 2 * low + 1
    mx, my = snap(low + stream.below(span), low + 3 + stream.below(span - 3), context.phase)
    left, right = (mx - along, my - across), (mx + along, my + across)
    above, below = (mx + across, my - along), (mx - across, my + along)
    pair = {"left": (left, right), "right": (right, left), "above": (above, below), "below": (below, above)}
    rest = place(
        stream,
        extents[2:],
        gap=difficulty.gap_px,
        phase=context.phase,
        taken=[(x, y, reach) for x, y in (left, right, above, below)],
    )
    kinds = [a, b, *_distractors(stream, a, b, difficulty.n_objects - 2)]
    options = rotated(phrasing.RELATIONS, context.orbit)
    name_a, name_b = phrasing.object_phrase(*a), phrasing.object_phrase(*b)
    return Draft(
        question=lambda template: phrasing.relation_question(name_a, name_b, template),
        options=options,
        program=program.relate(
            program.unique(program.filter_(colour=a[0], shape=a[1])),
            program.unique(program.filter_(colour=b[0], shape=b[1])),
        ),
        scenes=[scene(kinds, extents, [*pair[option], *rest]) for option in options],
        intermediates=[
            {"a": list(pair[option][0]), "b": list(pair[option][1]), "offset_px": 2 * along, "off_axis_px": 2 * across}
            for option in options
        ],
        kinds=["direction"] * 4,
    )
