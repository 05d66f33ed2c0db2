"""A board of 100 entries and 2,000 changed answers: what is drawn does not grow with it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from samples import sample_entry, spec_of
from visits import EDITS, Visit, Visited, written

from vsc_eval.board.board import Board
from vsc_eval.board.gallery import gallery_views

pytestmark = pytest.mark.xdist_group("browser")

PAGE = 24


def many(folder: Path, n: int) -> Board:
    """One study published under n names."""
    entry = sample_entry("model-b", n_per_cell=8, conditions=EDITS, source="study")
    spec = spec_of(entry.table.items, name="many", title="Many", scoring="loglikelihood", generator_version="1")
    abouts = (entry.about.model_copy(update={"id": f"m{i:03d}-0123456789", "name": f"m{i:03d}"}) for i in range(n))
    entries = tuple(replace(entry, about=about) for about in abouts)
    return Board(path=folder, spec=spec, entries=entries)


def seconds(visited: Visited, script: str) -> float:
    """How long the page's own thread is busy with a script, the least of three times."""
    timed = (
        f"() => {{ const start = performance.now(); {script}; document.body.offsetHeight;"
        " return performance.now() - start; }"
    )
    return min(visited.page.evaluate(timed) for _ in range(3)) / 1000


OPEN = """
    const chooser = document.getElementById("entry-choice");
    chooser.value = chooser.value === "0" ? "1" : "0";
    chooser.dispatchEvent(new Event("change"))
"""
SORT = "document.querySelector('[data-table=cells] .sort').click()"
FILTER = """
    const box = document.getElementById("interventions-text");
    box.value = box.value ? "" : "logic";
    box.dispatchEvent(new Event("input", { bubbles: true }))
"""


def test_a_hundred_entries_cost_little_more_than_ten(visit: Visit, tmp_path: Path) -> None:
    figures = {}
    for n in (10, 100):
        folder = tmp_path / str(n)
        folder.mkdir()
        board = many(folder, n)
        path = written(folder, board)
        start = time.perf_counter()
        visited = visit(path)
        visited.page.locator(".card").first.wait_for()
        loaded = time.perf_counter() - start
        figures[n] = {
            "flips": sum(len(entry["flips"]["row"]) for entry in gallery_views(board)[1]),
            "nodes": visited.page.evaluate("document.getElementsByTagName('*').length"),
            "cards": visited.page.locator(".card").count(),
            "load_s": loaded,
            "open_s": seconds(visited, OPEN),
            "sort_s": seconds(visited, SORT),
            "filter_s": seconds(visited, FILTER),
            "mb": path.stat().st_size / 1e6,
        }
        visited.is_quiet()
    ten, hundred = figures[10], figures[100]
    print(figures)
    assert hundred["flips"] >= 2000
    assert hundred["cards"] <= PAGE
    assert hundred["nodes"] < 2 * ten["nodes"]
    assert hundred["nodes"] < 20_000
    # Ratios, since seconds are another machine's; what is opened is as large on both boards, the rest ten times.
    assert hundred["open_s"] < 3 * ten["open_s"] + 0.1
    for key in ("sort_s", "filter_s", "load_s"):
        assert hundred[key] < 30 * ten[key] + 0.1, key
