"""Phone, dark mode, print, keyboard alone, and what axe finds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from visits import DESKTOP, PHONE, Visit

pytestmark = pytest.mark.xdist_group("browser")


FOCUS_IS_SEEN = """
    () => {
        const halo = document.activeElement.querySelector(":scope > .halo");
        const style = getComputedStyle(halo ?? document.activeElement);
        return (halo ? style.stroke : style.outlineStyle) !== "none";
    }
"""


def serious(page: Page) -> list[str]:
    """What axe finds that is serious or critical: rule, and the first place."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(
    visit: Visit, page_path: Path, size: tuple[int, int], scheme: str
) -> None:
    visited = visit(page_path, size=size, scheme=scheme)
    page = visited.page
    visited.fits()
    assert serious(page) == []
    page.locator("#entry-choice").select_option(label="model-b")
    page.get_by_label("Show").select_option(label="change of accuracy, points")
    visited.open_all()
    visited.fits()
    assert serious(page) == []
    visited.is_quiet()


def test_axe_can_find_something(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    page.evaluate("document.querySelector('.card img').removeAttribute('alt')")
    page.evaluate("document.querySelector('.lead, .intro').style.color = '#ccc'")
    assert {finding.split(":")[0] for finding in serious(page)} == {"image-alt", "color-contrast"}


def test_dark_mode_is_dark_and_light_mode_is_light(visit: Visit, page_path: Path) -> None:
    def brightness(scheme: str) -> tuple[int, int]:
        page = visit(page_path, scheme=scheme).page
        rgb = "(node, key) => getComputedStyle(node)[key].match(/\\d+/g).slice(0, 3).map(Number)"
        body = page.locator("body")
        paper, ink = (sum(body.evaluate(f"(node) => ({rgb})(node, '{key}')")) for key in ("backgroundColor", "color"))
        return paper, ink

    paper, ink = brightness("light")
    assert paper > 700 > 200 > ink
    paper, ink = brightness("dark")
    assert paper < 100 < 600 < ink


def tab_to(page: Page, selector: str, most: int = 150) -> None:
    """Press Tab until an element that matches has the focus, and check that the focus can be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            assert page.evaluate(FOCUS_IS_SEEN)
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_everything_is_reached_by_keyboard_alone(visit: Visit, page_path: Path) -> None:
    visited = visit(page_path)
    page = visited.page
    tab_to(page, ".skip", most=1)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    tab_to(page, "#baseline-text")
    page.keyboard.type("model-b")
    assert page.locator('[data-table="ranking"] tbody tr').count() == 1
    tab_to(page, '[data-table="ranking"] .scroll')
    tab_to(page, '[data-table="ranking"] .sort')
    page.keyboard.press("Enter")
    assert page.locator('[data-table="ranking"] th[aria-sort="ascending"]').count() == 1
    assert page.evaluate("document.activeElement.className") == "sort"

    tab_to(page, "#interventions-text")
    page.keyboard.type("logic")
    tab_to(page, "#entry-choice")
    page.keyboard.press("ArrowDown")
    assert page.locator("#entry-body h3").inner_text() == "model-b"

    tab_to(page, "svg .point")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#flips-title")).to_be_focused()
    tab_to(page, "#flips-body select")
    before = page.locator("#flips-body [role=status]").inner_text()
    page.keyboard.press("Home")
    assert page.locator("#flips-body [role=status]").inner_text() != before
    for _ in range(3):
        tab_to(page, "#flips-body select", most=1)
    page.keyboard.press("ArrowDown")
    assert "changed answer" in page.locator("#flips-body [role=status]").inner_text()
    visited.is_quiet()


def test_headings_go_down_by_one_and_landmarks_are_there(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1


def test_print_hides_controls_and_keeps_tables_whole(visit: Visit, page_path: Path) -> None:
    page = visit(page_path).page
    page.emulate_media(media="print")
    assert not page.locator("#entry-choice").is_visible()
    assert page.locator('[data-table="cells"] .scroll').evaluate("(n) => n.scrollHeight <= n.clientHeight + 1")
