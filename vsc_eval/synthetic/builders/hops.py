"""Start at X, move about a full grid: what colour is there?

The four scenes exchange the target's colour with another cell's. The options hold the start's colour and the colours
passed on the way. Exchanging keeps the number of objects of every colour the same in all four scenes.
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
    replaced,
    scene,
    sizes,
)
from vsc_eval.synthetic.difficulty import HopDifficulty
from vsc_eval.synthetic.layout import grid_centre, snap
from vsc_eval.synthetic.streams import Stream

Cell = tuple[int, int]
"""(row, column)."""


def _path(stream: Stream, difficulty: HopDifficulty) -> tuple[list[Cell], list[str]]:
    """A walk over different cells: the cells with the start first, and the moves."""
    while True:
        cells = [(stream.below(difficulty.grid), stream.below(difficulty.grid))]
        moves: list[str] = []
        while len(moves) < difficulty.hops:
            direction = stream.pick(phrasing.DIRECTIONS)
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
    name = phrasing.object_phrase(*start)
    return Draft(
        question=lambda template: phrasing.hop_question(name, moves, template),
        options=colours,
        program=program.query_colour(of),
        scenes=[scene(k, extents, points, grid=difficulty.grid) for k in kinds],
        intermediates=[
            {"path": [list(cell) for cell in path], "colours_passed": [k[cells.index(cell)][0] for cell in path]}
            for k in kinds
        ],
        kinds=roles,
    )
