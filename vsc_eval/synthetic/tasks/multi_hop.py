"""Start at X, move about a full grid: what colour is there?

The four scenes exchange the target's colour with another cell's. The options hold the start's colour and the colours
passed on the way. Exchanging keeps the number of objects of every colour the same in all four scenes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from vsc_eval.synthetic import program
from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import grid_centre, snap
from vsc_eval.synthetic.phrasing import N_TEMPLATES, object_phrase
from vsc_eval.synthetic.reading import matching, noun_in, the_one, unclear
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
    scene,
    sizes,
)


class HopDifficulty(Difficulty):
    grid: int
    """Rows and columns; every cell holds an object."""
    hops: int
    """Moves from the named start."""
    jitter_px: int
    """Greatest shift of an object from its cell's centre, along each axis."""


LEVELS = {
    "easy": HopDifficulty(size_px=(56, 80), gap_px=24, n_objects=9, grid=3, hops=1, jitter_px=12),
    "medium": HopDifficulty(size_px=(44, 60), gap_px=16, n_objects=16, grid=4, hops=2, jitter_px=8),
    "hard": HopDifficulty(size_px=(36, 52), gap_px=12, n_objects=25, grid=5, hops=3, jitter_px=6),
}

DIRECTIONS: Final = ("left", "right", "up", "down")

_TEMPLATES = (
    "Start at the {start}, move {moves}. What colour is the object there?",
    "Begin at the {start} and move {moves}. What colour do you reach?",
    "From the {start}, go {moves}. What colour is the object there?",
    "Step {moves} from the {start}. Which colour is in that place?",
    "You stand on the {start} and walk {moves}. What colour is under you?",
)


def question(start: str, moves: Sequence[str], template: int) -> str:
    """`start` is an object phrase, `moves` some of `DIRECTIONS`; options are colours."""
    return _TEMPLATES[template].format(start=start, moves=", then ".join(moves))


def texts() -> Iterator[str]:
    """Every word of the questions and options."""
    yield from (question("red circle", DIRECTIONS, template) for template in range(N_TEMPLATES))
    yield from (*COLOURS, *SHAPES)


Cell = tuple[int, int]
"""(row, column)."""


def _path(stream: Stream, difficulty: HopDifficulty) -> tuple[list[Cell], list[str]]:
    """A walk over different cells: the cells with the start first, and the moves."""
    while True:
        cells = [(stream.below(difficulty.grid), stream.below(difficulty.grid))]
        moves: list[str] = []
        while len(moves) < difficulty.hops:
            direction = stream.pick(DIRECTIONS)
            dx, dy = program.STEPS[direction]
            cell = (cells[-1][0] + dy, cells[-1][1] + dx)
            if cell in cells or not (0 <= cell[0] < difficulty.grid and 0 <= cell[1] < difficulty.grid):
                break
            cells.append(cell)
            moves.append(direction)
        else:
            return cells, moves


def _colourings(
    stream: Stream, cells: list[Cell], path: list[Cell], start_shape: str
) -> tuple[list[str], list[list[Kind]], list[str]]:
    """Option colours, for each the kinds of all cells, and what each option is."""
    colours = stream.sample(ALL_COLOURS, 4)
    kinds_of_option = ["start"] + ["passed"] * (len(path) - 2)
    kinds_of_option += ["elsewhere"] * (4 - len(kinds_of_option))
    donors = stream.sample([cell for cell in cells if cell not in path], 3)
    colour_at = {cell: stream.pick(ALL_COLOURS) for cell in cells}
    colour_at.update(zip(path[:-1], colours, strict=False))
    colour_at[path[-1]] = colours[3]
    colour_at.update(zip(donors, colours, strict=False))
    base: list[Kind] = []
    for cell in cells:
        # No other cell may ever look like the start: the target takes the start's colour in one scene.
        alike = cell == path[-1] or colour_at[cell] == colours[0]
        shape = other(stream, ALL_SHAPES, start_shape) if alike else stream.pick(ALL_SHAPES)
        base.append((colour_at[cell], start_shape if cell == path[0] else shape))
    target = cells.index(path[-1])
    scenes = [base]
    for colour, donor in zip(colours, donors, strict=False):
        at = cells.index(donor)
        scenes.append(replaced(base, {target: (colour, base[target][1]), at: (colours[3], base[at][1])}))
    order = stream.shuffled(range(4))
    by_option = [*scenes[1:], scenes[0]]
    return [colours[i] for i in order], [by_option[i] for i in order], [kinds_of_option[i] for i in order]


def build(context: Context, difficulty: HopDifficulty) -> Draft:
    stream = context.stream
    path, moves = _path(stream, difficulty)
    cells = [(row, column) for row in range(difficulty.grid) for column in range(difficulty.grid)]
    start_shape = stream.pick(ALL_SHAPES)
    colours, kinds, roles = _colourings(stream, cells, path, start_shape)
    extents = sizes(context, difficulty, difficulty.n_objects)
    jitter = difficulty.jitter_px
    points = []
    for cell in cells:
        x, y = grid_centre(difficulty.grid, *cell)
        points.append(snap(x + stream.between(-jitter, jitter), y + 2 + stream.between(-jitter, jitter), context.phase))
    start = kinds[0][cells.index(path[0])]
    of = program.unique(program.filter_(colour=start[0], shape=start[1]))
    for direction in moves:
        of = program.move(direction, of)
    name = object_phrase(*start)
    return Draft(
        question=lambda template: question(name, moves, template),
        options=colours,
        program=program.query_colour(of),
        scenes=[scene(k, extents, points, grid=difficulty.grid) for k in kinds],
        intermediates=[
            {"path": [list(cell) for cell in path], "colours_passed": [k[cells.index(cell)][0] for cell in path]}
            for k in kinds
        ],
        kinds=roles,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    noun = noun_in(question)
    here = the_one(matching(seen, noun), noun[0])
    for move in re.findall(r"\b(left|right|up|down)\b", question):
        sign = -1 if move in ("left", "up") else 1
        ahead = []
        for o in seen:
            dx, dy = o.x - here.x, o.y - here.y
            along, across = (dx, dy) if move in ("left", "right") else (dy, dx)
            if sign * along > 0 and abs(across) < 0.5 * abs(along):
                ahead.append((abs(along), o))
        if not ahead:
            raise unclear(f"nothing lies {move} of ({here.x}, {here.y})")
        here = min(ahead, key=lambda pair: pair[0])[1]
    return here.colour


TASK = SyntheticTask("multi_hop", levels=LEVELS, build=build, read=read, texts=texts)
