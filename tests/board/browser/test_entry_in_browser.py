"""One model in detail: heat map, frontier, matrices, probes, tables, deep links."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from visits import Visit

from vsc_eval.board.board import Board
from vsc_eval.tables.numbers import percent, points

pytestmark = pytest.mark.xdist_group("browser")


def test_choosing_a_model_shows_it_and_sets_the_address(visit: Visit, page_path: Path, board: Board) -> None:
    visited = visit(page_path)
    page = visited.page
    assert page.locator("#entry-body h3").inner_text() == "model-a"
    page.locator("#entry-choice").select_option(label="model-b")
    assert page.locator("#entry-body h3").inner_text() == "model-b"
    assert "Said by its publisher." in page.locator("#entry-body").inner_text()
    entry = next(entry for entry in board.entries if entry.name == "model-b")
    assert page.evaluate("location.hash") == f"#entry/{entry.id}"

    page.locator("#entry-choice").select_option(label="model-c")
    assert page.locator("#entry-body svg").count() == 0
    assert "was run without edits" in page.locator("#flips-body").inner_text()
    visited.is_quiet()


def test_an_address_opens_its_entry_and_one_of_nothing_opens_the_first(
    visit: Visit, page_path: Path, board: Board
) -> None:
    entry = next(entry for entry in board.entries if entry.name == "model-b")
    assert visit(page_path, f"#entry/{entry.id}").page.locator("#entry-body h3").inner_text() == "model-b"
    for wrong in ("#entry/no-such-0123456789", "#entry/", "#baseline", f"#entry/{entry.id}x/flips/%E0%A4%A"):
        visited = visit(page_path, wrong)
        assert visited.page.locator("#entry-body h3").inner_text() == "model-a"
        visited.is_quiet()


def test_the_map_has_every_cell_and_its_figures(visit: Visit, page_path: Path, board: Board) -> None:
    page = visit(page_path).page
    entry = board.entries[0]
    map_ = page.locator("table.map").first
    assert map_.locator("tbody tr").count() == 8
    assert map_.locator("tbody td").count() == 8 * 4
    for task, level in (("counting", "easy"), ("multi_hop", "hard")):
        row = entry.row("baseline", "cell", task, level)
        assert row is not None
        assert row.accuracy.value is not None
        cell = map_.locator("tbody tr", has_text=task).locator("td").nth(["easy", "medium", "hard"].index(level))
        assert cell.locator("b").inner_text() == f"{100 * row.accuracy.value:.1f}"
        assert cell.get_attribute("class") == f"s{min(9, int(10 * row.accuracy.value + 1e-9))}"

    page.get_by_label("Show").select_option(label="change of accuracy, points")
    row = entry.row("counting", "task", "logic")
    assert row is not None
    assert row.difference is not None
    assert row.difference.value is not None
    shown = page.locator("table.map").first.locator("tbody tr", has_text="logic").locator("td b").last.inner_text()
    assert float(shown.replace("−", "-")) == pytest.approx(100 * row.difference.value, abs=0.051)


def test_the_map_rounds_as_the_tables_do(visit: Visit, page_path: Path, board: Board) -> None:
    """Also what lies exactly between two figures, as eighths of a hundred do."""
    page = visit(page_path).page
    entry = board.entries[0]
    tasks = [*board.spec.tasks, None]
    levels = [*board.spec.tasks["counting"].levels, None]
    for measure, words in (("accuracy, %", percent), ("change of accuracy, points", points)):
        page.get_by_label("Show").select_option(label=measure)
        wanted = []
        for task in tasks:
            for level in levels:
                scope = "cell" if task and level else "task" if task else "level" if level else "all"
                row = entry.row("baseline" if words is percent else "counting", scope, task, level)
                assert row is not None
                figure = row.accuracy if words is percent else row.difference
                assert figure is not None
                assert figure.value is not None
                wanted.append(words(figure.value))
        assert page.locator("table.map").first.locator("tbody td b").all_inner_texts() == wanted
    own = entry.row("logic", "all")
    assert own is not None
    assert own.difference is not None
    assert own.difference.value is not None
    assert page.locator("table.matrix").nth(1).locator(".own").nth(1).inner_text() == points(own.difference.value)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_an_address_of_changed_answers_scrolls_there(visit: Visit, page_path: Path, board: Board, motion: str) -> None:
    entry = next(entry for entry in board.entries if entry.name == "model-b")
    page = visit(page_path, f"#entry/{entry.id}/flips/logic", motion=motion).page
    page.locator(".card img").first.wait_for()
    page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert 0 <= page.locator("#flips-title").evaluate("(node) => node.getBoundingClientRect().top") < 100
    page.reload()
    page.locator(".card img").first.wait_for()
    assert page.get_by_label("Condition").last.locator("option:checked").inner_text().startswith("logic (")


def test_the_frontier_is_walked_by_keyboard_and_opens_changed_answers(visit: Visit, page_path: Path) -> None:
    visited = visit(page_path)
    page = visited.page
    points = page.locator("svg .point")
    assert points.count() == 9
    assert page.locator('svg .point[tabindex="0"]').count() == 1
    page.locator('svg .point[tabindex="0"]').focus()
    for key, place in (("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("End", 8), ("ArrowRight", 8), ("Home", 0)):
        page.keyboard.press(key)
        assert page.evaluate("Number(document.activeElement.dataset.at)") == place
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert page.locator(".scoring").inner_text() == label
        assert page.locator('svg .point[tabindex="0"]').count() == 1
    condition = label.split(" (")[0]
    page.keyboard.press("Enter")
    expect(page.locator("#flips-title")).to_be_focused()
    assert page.get_by_label("Condition").last.locator("option:checked").inner_text().startswith(condition)
    visited.is_quiet()


def test_charts_have_the_same_figures_as_tables(visit: Visit, page_path: Path, board: Board) -> None:
    page = visit(page_path).page
    page.locator("#entry-choice").select_option(label="model-b")
    entry = next(entry for entry in board.entries if entry.name == "model-b")
    summaries = page.get_by_text("The same as a table")
    assert summaries.count() == 3
    for i in range(3):
        summaries.nth(i).click()
    tables = page.locator("#entry-body details[open] table")
    expect(tables).to_have_count(3)
    assert tables.nth(0).locator("tbody tr").count() == 9
    assert tables.nth(1).locator("tbody tr").count() == len(entry.results.interactions)
    assert entry.results.probing is not None
    assert tables.nth(2).locator("tbody tr").count() == len(entry.results.probing.rows)
    row = entry.row("counting", "all")
    assert row is not None
    assert row.drift is not None
    assert row.drift.share.value is not None
    text = tables.nth(0).locator("tbody tr", has=page.get_by_text("counting", exact=True)).locator("td").first
    assert text.inner_text().startswith(f"{100 * row.drift.share.value:.1f} [")


def test_matrices_probes_controls_and_floor(visit: Visit, page_path: Path, board: Board) -> None:
    visited = visit(page_path)
    page = visited.page
    page.locator("#entry-choice").select_option(label="model-b")
    entry = next(entry for entry in board.entries if entry.name == "model-b")
    assert page.locator("table.matrix").count() == 4
    raw = next(u for u in entry.results.interactions if u.form == "raw" and set(u.parts) == {"counting", "logic"})
    assert raw.drift_interaction.value is not None
    drift = page.locator("table.matrix").first
    heads = [text.strip() for text in drift.locator("thead th").all_inner_texts()]
    assert heads == ["counting", "logic", "existence"]
    cell = drift.locator("tbody tr").nth(1).locator("td").first.inner_text().strip("*")
    assert float(cell.replace("−", "-")) == pytest.approx(100 * raw.drift_interaction.value, abs=0.051)

    panels = page.locator(".panels figure")
    assert panels.count() == 2
    lines = panels.first.locator("polyline")
    assert lines.count() == 4
    assert [line.get_attribute("stroke-dasharray") is None for line in lines.all()] == [True, False, False, False]

    assert page.get_by_role("heading", name="Controls", exact=True).count() == 1
    page.get_by_label("Filter controls").fill("permuted")
    controls = page.locator("#entry-body .table-block", has=page.get_by_role("heading", name="Controls", exact=True))
    assert controls.locator("tbody tr").count() == sum(c.kind == "permuted_labels" for c in entry.results.controls)
    assert "other batches" in page.locator("#entry-body").inner_text()
    page.get_by_text("How it was computed").click()
    expect(page.locator("#entry-body")).to_contain_text(entry.about.sha256)
    visited.is_quiet()
