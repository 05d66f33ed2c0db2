"""Tables of the page: sorting, filters, rows that come on demand."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from visits import NOT_PRINTED, Visit

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
    assert status.get_attribute("role") == "status"

    page.locator("#interventions-text").fill("no such thing")
    assert column(page, "effects", "condition") == ["No row matches the filter."]
    page.locator("#interventions-text").fill("")
    assert column(page, "effects", "condition") == before


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
    assert set(column(page, "unions", "model")) == {"model-a"}


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
