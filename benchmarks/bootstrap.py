"""`python -m benchmarks.bootstrap`: the cluster bootstrap of all conditions of a cell at once, and one by one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.shared import run, table, take_turns
from vsc_eval.cli.main import Parser
from vsc_eval.stats import bootstrap_many, cluster_bootstrap, stream

_ORBIT = 4


def bench(options: argparse.Namespace) -> list[str]:
    """Times both ways on random answers. Raises RuntimeError if their figures differ."""
    cells, n_items = range(options.cells), options.n
    values = stream(0, "bench").integers(0, 2, size=(options.cells, options.conditions, n_items)).astype(np.float64)
    clusters = np.array([f"orbit {i // _ORBIT:06d}" for i in range(n_items)])

    def rng(cell: int) -> np.random.Generator:
        return stream(0, "bench", str(cell))

    def together() -> list[object]:
        return [bootstrap_many(values[cell], clusters, rng(cell), draws=options.draws) for cell in cells]

    def one_by_one() -> list[object]:
        return [
            tuple(cluster_bootstrap(row, clusters, rng(cell), draws=options.draws) for row in values[cell])
            for cell in cells
        ]

    n_figures = options.conditions * options.cells
    ways: dict[str, tuple[int, Callable[[], list[object]]]] = {
        "a cell at once": (n_figures, together),
        "one figure a call": (n_figures, one_by_one),
    }
    timed, figures = take_turns(ways, options.repeats)
    if figures[0] != figures[1]:
        raise RuntimeError("the figures of a cell at once are not those of the single calls")
    what = f"{options.conditions} conditions x {options.cells} cells of {n_items} items, {options.draws} draws each"
    return [what, *table(timed, "figures")]


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = Parser(prog="python -m benchmarks.bootstrap", description="The cluster bootstrap of a whole table.")
    parser.add_argument("--conditions", type=int, default=30, help="rows of the table")
    parser.add_argument("--cells", type=int, default=21, help="columns of the table")
    parser.add_argument("--n", type=int, default=100, help="items of each cell")
    parser.add_argument("--draws", type=int, default=10_000, help="of the bootstrap")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, taking turns")
    return run(parser, bench, argv)


if __name__ == "__main__":
    sys.exit(main())
