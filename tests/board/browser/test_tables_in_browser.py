"""Tables of the page: sorting, filters, rows that come on demand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from samples import sample_parts, write_board
from visits import NOT_PRINTED, Visit, written

pytestmark = pytest.mark.xdist_group("browser")


def column(page: Page, table: str, heading: str) -> list[str]:
    """Texts of a column of a table, from the top."""
    return page.evaluate(
        """([key, heading]) => {
            const table = document.querySelector(`[data-table="${key}"] table`);
            const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
            const at = heads.findIndex((head) => head.textContent === heading);
            return [...table.tBodies[0].rows].map((row) => row.cells[at]?.textContent ?? row.textContent);
        }""",
        [table, heading],
    )


def first_numbers(texts: list[str]) -> list[float]:
    return [float(text.split()[0].replace("−", "-")) for text in texts]


def sort_button(page: Page, table: str, heading: str) -> Locator:
    return page.locator(f'[data-table="{table}"]').get_by_role("button", name=heading, exact=True)


def test_a_column_sorts_down_up_and_back(visit: Visit, page_path: Path) -> None:
    visited = visit(page_path)
    page = visited.page
    in_order = column(page, "cells", "all")
    button = sort_button(page, "cells", "all")
    head = page.locator('[data-table="cells"] th', has=page.get_by_role("button", name="all", exact=True))
    assert head.get_attribute("aria-sort") == "none"

    button.click()
    falling = first_numbers(column(page, "cells", "all"))
    assert falling == sorted(falling, reverse=True)
    assert falling != first_numbers(in_order)
    assert head.get_attribute("aria-sort") == "descending"

    button.click()
    rising = first_numbers(column(page, "cells", "all"))
    assert rising == sorted(rising)
    assert head.get_attribute("aria-sort") == "ascending"

    button.click()
    assert column(page, "cells", "all") == in_order
    assert head.get_attribute("aria-sort") == "none"
    visited.is_quiet()


def test_text_sorts_from_a_and_undefined_stands_last_both_ways(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    sort_button(page, "effects", "condition").click()
    conditions = column(page, "effects", "condition")
    assert conditions == sorted(conditions)

    for _ in range(2):
        sort_button(page, "effects", "floor").click()
        undefined = [text.startswith("–") for text in column(page, "effects", "floor")]
        assert any(undefined)
        assert undefined == sorted(undefined)


def test_the_text_filter_keeps_the_rows_that_hold_it_and_says_how_many(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    before = column(page, "effects", "condition")
    page.locator("#interventions-text").fill("EXIST")
    kept = column(page, "effects", "condition")
    assert kept == [text for text in before if "exist" in text]
    assert 0 < len(kept) < len(before)
    status = page.locator('[data-table="effects"] [data-status]')
    assert status.inner_text().startswith(f"{len(kept)} of ")

    page.locator("#interventions-text").fill("no such thing")
    assert column(page, "effects", "condition") == ["No row matches the filter."]
    page.locator("#interventions-text").fill("")
    assert column(page, "effects", "condition") == before


def test_one_live_region_says_what_a_reader_did_once_typing_pauses(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    section = page.locator("#interventions")
    said = section.get_by_role("status")
    assert said.count() == 1
    assert said.inner_text() == ""
    said.evaluate(
        "(node) => { window.times = 0;"
        " new MutationObserver(() => { window.times += 1; }).observe(node, { childList: true }); }"
    )
    # The page's clock stands still but for what the test lets pass: a slow machine does not type more slowly.
    page.clock.install()
    page.clock.pause_at(2_000_000_000)
    for letter in "logic":
        page.locator("#interventions-text").press_sequentially(letter)
        page.clock.run_for(400)
        assert said.inner_text() == ""
    page.clock.run_for(100)
    assert "Interventions: " in said.inner_text()
    assert "Combined edits beyond their parts: " in said.inner_text()
    assert page.evaluate("window.times") == 1
    sort_button(page, "effects", "condition").click()
    page.clock.run_for(500)
    assert said.inner_text() == "Interventions: sorted by condition, ascending"


def test_every_table_and_every_control_has_a_name(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    page.locator("#entry-choice").select_option(label="model-b")
    tree = page.locator("main").aria_snapshot()
    assert tree.count("- table") > 10
    for role in ("table", "combobox", "searchbox", "region", "group", "img", "button"):
        nameless = [line for line in tree.splitlines() if line.strip().removesuffix(":") == f"- {role}"]
        assert nameless == ([] if role != "group" else ["  - group:"] * len(nameless)), role


def test_interventions_are_filtered_by_model_and_by_headline(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    models = column(page, "effects", "model")
    assert set(models) == {"model-a", "model-b"}
    assert NOT_PRINTED not in [
        condition
        for model, condition in zip(models, column(page, "effects", "condition"), strict=True)
        if model == "model-a"
    ]
    page.get_by_label("Model", exact=True).first.select_option(label="model-a")
    assert set(column(page, "effects", "model")) == {"model-a"}
    page.get_by_label("Conditions", exact=True).select_option(label="all")
    assert NOT_PRINTED in column(page, "effects", "condition")
    assert set(column(page, "combined", "model")) == {"model-a"}


def test_links_of_a_row_lead_to_its_model_and_to_its_changed_answers(visit: Visit, page_path: Path) -> None:
    visited = visit(page_path)
    page = visited.page
    row = page.locator('[data-table="effects"] tbody tr', has_text="model-b").filter(has_text="counting+logic:norm")
    row.get_by_role("link", name="counting+logic:norm=mean").click()
    expect(page.locator("#flips-title")).to_be_focused()
    assert page.locator("#entry-choice option:checked").inner_text() == "model-b"
    assert page.get_by_label("Condition").last.locator("option:checked").inner_text().startswith("counting+logic:norm")

    page.locator('[data-table="ranking"]').get_by_role("link", name="model-a").click()
    expect(page.locator("#entry-title")).to_be_focused()
    assert page.locator("#entry-body h3").inner_text() == "model-a"
    page.go_back()
    expect(page.locator("#flips-title")).to_be_focused()
    assert page.locator("#entry-body h3").inner_text() == "model-b"
    visited.is_quiet()


def test_the_tables_can_be_read_without_script(visit: Visit, page_path: Path) -> None:
    page = visit(page_path, script=False).page
    assert page.locator('[data-table="ranking"] tbody tr').count() == 3
    assert "Without JavaScript" in page.locator("main").inner_text()
    assert page.locator("header").get_by_role("link", name=re.compile("^model-[abc]$")).count() >= 1
    for part in ("#entry", "#flips"):
        assert "need JavaScript" in page.locator(part).inner_text()
    assert page.locator("input:visible, select:visible, button:visible").count() == 0


def test_a_model_of_two_entries_has_one_name_everywhere_and_a_link_to_its_first(visit: Visit, tmp_path: Path) -> None:
    first = sample_parts("model-a", n_per_cell=4, conditions=("counting",))
    second = sample_parts("model-a", n_per_cell=4, conditions=("logic",))
    named = []
    for parts, name in ((first, "another"), (second, "its own")):
        assert parts.about.intervention is not None
        intervention = parts.about.intervention.model_copy(update={"name": name})
        named.append(replace(parts, about=parts.about.model_copy(update={"intervention": intervention})))
    board = write_board(tmp_path, named)
    page = visit(written(tmp_path, board)).page
    page.locator('[data-table="ranking"]').get_by_role("link", name="model-a").click()
    expect(page.locator("#entry-title")).to_be_focused()
    assert page.evaluate("location.hash") == f"#entry/{board.entries[0].id}"
    names = set(column(page, "effects", "model"))
    assert names == {"model-a · another", "model-a · its own"}
    assert set(page.locator("#entry-choice option").all_inner_texts()) == names
    assert page.locator("#entry-body h3").inner_text() in names
