"""The gallery of changed answers: what a card says, filters, pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from visits import Visit

from vsc_eval.analysis.rows import flips
from vsc_eval.board.board import Board
from vsc_eval.board.gallery import KIND_WORDS, choose
from vsc_eval.synthetic import CANVAS, find_item

pytestmark = pytest.mark.xdist_group("browser")
CONDITION = "counting+logic"


def test_a_card_says_what_the_entry_holds(visit: Visit, page_path: Path, board: Board) -> None:
    visited = visit(page_path)
    page = visited.page
    table = board.entries[0].table
    flip, places = flips(table, "counting")[0], choose(board.entries[0], 1).places
    item = find_item(flip.item_id)
    card = page.locator(".card", has=page.get_by_text(flip.item_id, exact=True))
    text = card.inner_text()
    assert item.question in text
    assert f"Answered {flip.before} → {flip.after}; gold: {flip.gold}" in text
    p_before, p_after = (table.option_probabilities(name, places[flip.item_id]) for name in ("baseline", "counting"))
    assert p_before is not None
    assert p_after is not None
    rows = card.locator("tbody tr")
    for place, option in enumerate(item.options):
        cells = rows.nth(place).locator("th, td")
        assert cells.nth(0).inner_text().startswith(f"{'ABCD'[place]}. {option}")
        assert float(cells.nth(1).inner_text().split()[0]) == pytest.approx(100 * p_before[place], abs=0.11)
        assert float(cells.nth(2).inner_text().split()[0]) == pytest.approx(100 * p_after[place], abs=0.11)
        width = cells.nth(2).locator(".meter i").evaluate("(bar) => bar.offsetWidth / bar.parentElement.clientWidth")
        assert width == pytest.approx(p_after[place], abs=0.03)
    picture = card.locator("img")
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == CANVAS
    assert "shape" in (picture.get_attribute("alt") or "")
    visited.is_quiet()


def test_filters_narrow_the_cards_and_say_how_many(visit: Visit, page_path: Path, board: Board) -> None:
    visited = visit(page_path)
    page = visited.page
    status = page.locator("#flips-body [role=status]")
    found = flips(board.entries[0].table, CONDITION)
    page.locator("#flips-body").get_by_label("Condition").select_option(index=3)
    assert status.inner_text().startswith(f"{len(found)} changed answers")

    page.locator("#flips-body").get_by_label("Kind of change").select_option(label="right to wrong")
    worse = [flip for flip in found if flip.change == "right_to_wrong"]
    assert 0 < len(worse) < len(found)
    assert status.inner_text().startswith(f"{len(worse)} changed answer")
    assert set(page.locator(".card .tag").filter(has_text="right").all_inner_texts()) == {"right to wrong"}

    level = worse[0].level
    page.locator("#flips-body").get_by_label("Level").select_option(label=level)
    page.locator("#flips-body").get_by_label("Task").select_option(label=worse[0].task)
    here = [flip for flip in worse if (flip.task, flip.level) == (worse[0].task, level)]
    assert page.locator(".card .id").all_inner_texts() == [flip.item_id for flip in here]

    there = {flip.change for flip in found if (flip.task, flip.level) == (worse[0].task, level)}
    absent = next(kind for kind in KIND_WORDS if kind not in there)
    page.locator("#flips-body").get_by_label("Kind of change").select_option(label=KIND_WORDS[absent])
    assert status.inner_text() == "No changed answer matches these filters."
    assert page.locator(".card").count() == 0
    visited.is_quiet()


def test_cards_come_by_pages_and_the_focus_goes_to_the_first_new_one(
    visit: Visit, page_path: Path, board: Board
) -> None:
    page = visit(page_path).page
    counts = {name: len(flips(board.entries[0].table, name)) for name in board.entries[0].table.names}
    condition = max(counts, key=lambda name: counts[name])
    n = counts[condition]
    assert n > 24, "the sample has too few flips for two pages"
    options = page.locator("#flips-body").get_by_label("Condition").locator("option").all_inner_texts()
    page.locator("#flips-body").get_by_label("Condition").select_option(label=f"{condition} ({n})")
    assert f"{condition} ({n})" in options
    assert page.locator(".card").count() == 24
    more = page.locator("#flips-body .more button")
    assert more.inner_text() == f"Show {min(24, n - 24)} more"
    more.focus()
    page.keyboard.press("Enter")
    assert page.locator(".card").count() == min(48, n)
    at = page.evaluate("[...document.querySelectorAll('.card')].indexOf(document.activeElement)")
    assert at == 24
    if n <= 48:
        assert not more.is_visible()
