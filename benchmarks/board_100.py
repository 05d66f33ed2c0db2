"""A board of 100 entries: how long it takes to check and to build, and how large entries and page are.

    python benchmarks/board_100.py [--before OTHER.json] [--entries 100]

Entries are those of the board's tests, every other one a study: real items, made-up answers. The script runs in any
checkout that has `tests/board/samples.py`, also of commits whose entries were single JSON files; `--before` names what
it printed there, and then ratios are printed too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path.cwd()
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "board")]
N_PER_CELL = 20


def measured(n_entries: int) -> dict[str, float]:
    """Seconds and MB (10^6 bytes)."""
    from samples import sample_board  # type: ignore[import-not-found]  # tests/board

    board_module = __import__("vsc_eval.board.check", fromlist=["check_board"])
    build_module = __import__("vsc_eval.board.build", fromlist=["build_board"])
    with tempfile.TemporaryDirectory() as folder:
        board = Path(folder) / "sample"
        sample_board(board, n_entries, n_per_cell=N_PER_CELL)
        found = {
            "check, s": seconds(lambda: right(board_module.check_board(board))),
            "check --intervals, s": seconds(lambda: board_module.check_board(board, intervals=True)),
            "build, s": seconds(lambda: build_module.build_board(board)),
            "build again, s": seconds(lambda: build_module.build_board(board)),
        }
        sizes = [file.stat().st_size for file in (board / "entries").rglob("*") if file.is_file()]
        return found | {
            "entry, MB": sum(sizes) / n_entries / 1e6,
            "page, MB": (board / "index.html").stat().st_size / 1e6,
        }


def right(problems: tuple[Any, ...]) -> None:
    assert not problems, problems[0]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, metavar="OTHER.json", help="what another checkout printed")
    parser.add_argument("--entries", type=int, default=100, metavar="N")
    options = parser.parse_args()
    found = measured(options.entries)
    before = json.loads(options.before.read_text()) if options.before else {}
    for name, value in found.items():
        ratio = f"   {value / before[name]:.2f} of before" if name in before else ""
        print(f"{name:24}{value:10.3f}{ratio}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
