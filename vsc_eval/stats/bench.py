"""`vsc-eval bench statistics`, or `python -m vsc_eval.stats.bench`: the grid bootstrap against one call a figure."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vsc_eval.stats.bootstrap import Floats, cluster_bootstrap
from vsc_eval.stats.estimate import Estimate
from vsc_eval.stats.grid import grid_bootstrap
from vsc_eval.stats.streams import stream

_ORBIT = 4


@dataclass(frozen=True)
class GridTimes:
    """Seconds for the same figures, the fastest of the repeats."""

    conditions: int
    cells: int
    items_per_cell: int
    draws: int
    grid: float
    one_by_one: float

    @property
    def ratio(self) -> float:
        return self.one_by_one / self.grid

    def line(self) -> str:
        """What was timed and how long it took."""
        return (
            f"{self.conditions} conditions x {self.cells} cells of {self.items_per_cell} items, {self.draws} cluster "
            f"bootstraps: {self.grid:.2f} s at once, {self.one_by_one:.2f} s one by one, {self.ratio:.1f} times as fast"
        )


def time_grid(
    conditions: int = 30, cells: int = 21, items_per_cell: int = 100, draws: int = 10_000, repeats: int = 3
) -> GridTimes:
    """Times both ways on random answers. Raises RuntimeError if their figures differ."""
    n_items = cells * items_per_cell
    values: Floats = stream(0, "bench").integers(0, 2, size=(conditions, n_items)).astype(np.float64)
    clusters = np.array([f"orbit {i // _ORBIT:06d}" for i in range(n_items)])
    masks = {cell: np.arange(n_items) // items_per_cell == cell for cell in range(cells)}

    def rng(cell: int) -> np.random.Generator:
        return stream(0, "bench", str(cell))

    def grid() -> dict[int, tuple[Estimate, ...]]:
        return grid_bootstrap(values, clusters, masks, rng, draws=draws)

    def one_by_one() -> dict[int, tuple[Estimate, ...]]:
        return {
            cell: tuple(cluster_bootstrap(row[mask], clusters[mask], rng(cell), draws=draws) for row in values)
            for cell, mask in masks.items()
        }

    if grid() != one_by_one():
        raise RuntimeError("the grid's figures are not those of the single calls")
    return GridTimes(conditions, cells, items_per_cell, draws, _fastest(grid, repeats), _fastest(one_by_one, repeats))


def add_bench(commands: Any) -> None:
    """Add `statistics` to the commands of `vsc-eval bench`."""
    _add_options(
        commands.add_parser("statistics", help="the cluster bootstrap of a whole table against one call a figure")
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("--conditions", type=int, default=30, help="rows of the table (default: 30)")
    parser.add_argument("--cells", type=int, default=21, help="columns of the table (default: 21)")
    parser.add_argument("--n", type=int, default=100, help="items of each cell (default: 100)")
    parser.add_argument("--draws", type=int, default=10_000, help="of the bootstrap (default: 10000)")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, the fastest counts (default: 3)")
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> int:
    print(time_grid(options.conditions, options.cells, options.n, options.draws, options.repeats).line())
    return 0


def _fastest(run: Callable[[], object], repeats: int) -> float:
    def once() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return min(once() for _ in range(max(1, repeats)))


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(prog="python -m vsc_eval.stats.bench")
    _add_options(_parser)
    _handle(_parser.parse_args())
