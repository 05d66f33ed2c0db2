"""`python -m benchmarks.items`: how long the items of the synthetic benchmark take to make and to draw."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks.shared import bench_items, run, table, take_turns
from vsc_eval.cli.main import Parser
from vsc_eval.synthetic import DEFAULT_SIZES, LEVELS, TASKS


def bench(options: argparse.Namespace) -> list[str]:
    """The lines to print."""
    n_items = options.n * len(TASKS) * len(LEVELS)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "made": (n_items, lambda: bench_items(options.n)),
        "made and drawn": (n_items, lambda: [item.image() for item in bench_items(options.n)]),
    }
    return table(take_turns(ways, options.repeats)[0], "items")


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = Parser(prog="python -m benchmarks.items", description="Make and draw the test items of all 21 cells.")
    parser.add_argument("--n", type=int, default=DEFAULT_SIZES["test"], help="items of each cell, a multiple of 4")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, taking turns")
    return run(parser, bench, argv)


if __name__ == "__main__":
    sys.exit(main())
