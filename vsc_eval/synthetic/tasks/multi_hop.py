"""Start at X, move about a full grid: what colour is there?

The four scenes exchange the target's colour with another cell's. The options hold the start's colour and the colours
passed on the way. Exchanging keeps the number of objects of every colour the same in all four scenes.
"""

import re
from collections.abc import Sequence
from typing import Final

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import Stream, snap
from vsc_eval.synthetic.scene import CANVAS, COLOUR_NAMES, SHAPES, Kind
from vsc_eval.synthetic.seen import Seen, matching, noun_in, only, unclear
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, replaced, scene


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

TEMPLATES = (
    "Start at the {start}, move {moves}. What colour is the object there?",
    "Begin at the {start} and move {moves}. What colour do you reach?",
    "From the {start}, go {moves}. What colour is the object there?",
    "Step {moves} from the {start}. Which colour is in that place?",
    "You stand on the {start} and walk {moves}. What colour is under you?",
)
THEN = ", then "

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
            if cell in cells or not all(0 <= at < difficulty.grid for at in cell):
                break
            cells.append(cell)
            moves.append(direction)
        else:
            return cells, moves


def _colourings(
    stream: Stream, cells: list[Cell], path: list[Cell], start_shape: str
) -> tuple[list[str], list[list[Kind]], list[str]]:
    """Option colours, for each the kinds of all cells, and what each option is."""
    colours = stream.sample(COLOUR_NAMES, 4)
    start, target = path[0], path[-1]
    n_passed = len(path) - 2
    roles = ["start", *["passed"] * n_passed, *["elsewhere"] * (3 - n_passed)]
    donors = stream.sample([cell for cell in cells if cell not in path], 3)
    colour_at = {cell: stream.pick(COLOUR_NAMES) for cell in cells}
    colour_at.update(zip(path[:-1], colours, strict=False))
    colour_at[target] = colours[3]
    colour_at.update(zip(donors, colours, strict=False))
    base: list[Kind] = []
    for cell in cells:
        # No other cell may ever look like the start: the target takes the start's colour in one scene.
        alike = cell == target or colour_at[cell] == colours[0]
        shape = stream.other(SHAPES, start_shape) if alike else stream.pick(SHAPES)
        base.append((colour_at[cell], start_shape if cell == start else shape))
    to = cells.index(target)
    scenes = []
    for colour, donor in zip(colours, map(cells.index, donors), strict=False):
        scenes.append(replaced(base, {to: (colour, base[to][1]), donor: (colours[3], base[donor][1])}))
    scenes.append(base)
    order = stream.shuffled(range(4))
    return [colours[i] for i in order], [scenes[i] for i in order], [roles[i] for i in order]


def build(context: Context, difficulty: HopDifficulty) -> Draft:
    stream, n, jitter = context.stream, difficulty.grid, difficulty.jitter_px
    path, moves = _path(stream, difficulty)
    cells = [(row, column) for row in range(n) for column in range(n)]
    colours, kinds, roles = _colourings(stream, cells, path, stream.pick(SHAPES))
    extents = context.extents(difficulty)
    pitch = CANVAS // n // 2 * 2
    first = (CANVAS - pitch * n) // 2 + pitch // 2
    points = []
    for row, column in cells:
        x, y = (first + pitch * at + stream.between(-jitter, jitter) for at in (column, row))
        points.append(snap(x, y + 2, context.phase))
    start = kinds[0][cells.index(path[0])]
    of = program.unique(program.filter_(*start))
    for direction in moves:
        of = program.move(direction, of)
    return Draft(
        question=asked(TEMPLATES, start=" ".join(start), moves=THEN.join(moves)),
        options=colours,
        program=program.query_colour(of),
        scenes=[scene(k, extents, points, grid=n) for k in kinds],
        intermediates=[
            {"path": [list(cell) for cell in path], "colours_passed": [k[cells.index(cell)][0] for cell in path]}
            for k in kinds
        ],
        kinds=roles,
    )


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    noun = noun_in(question)
    here = only(matching(seen, noun), f"objects are {noun[0]}")
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


TASK = SyntheticTask("multi_hop", LEVELS, build, read, (*TEMPLATES, *DIRECTIONS, THEN))
