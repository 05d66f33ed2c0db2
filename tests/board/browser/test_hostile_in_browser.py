"""A board whose every free text attacks: it is shown as text, nothing runs, nothing is loaded, nothing breaks out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hostile import HOSTILE, NAMED, hostile_board
from playwright.sync_api import expect
from visits import OPEN_ALL, PHONE, Visit, Visited, written

from vsc_eval.board.board import Board
from vsc_eval.tables import clean

pytestmark = pytest.mark.xdist_group("browser")

SHOW_EVERY_ENTRY = """
    async () => {
        const chooser = document.getElementById("entry-choice");
        const shown = [];
        for (let i = 0; i < chooser.options.length; i += 1) {
            chooser.value = String(i);
            chooser.dispatchEvent(new Event("change"));
            await OPEN_ALL();
            const kinds = document.querySelectorAll("#flips-body select");
            if (kinds.length) {
                kinds[1].selectedIndex = kinds[1].options.length - 1;
                kinds[1].dispatchEvent(new Event("change"));
            }
            const name = document.querySelector("#entry-body h3").textContent;
            shown.push([name, document.documentElement.scrollWidth - window.innerWidth]);
        }
        return shown;
    }
""".replace("OPEN_ALL()", f"({OPEN_ALL.strip()})()")
"""Name of every entry, and how many pixels it is wider than the window with all of it open."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return hostile_board(tmp_path_factory.mktemp("hostile"), HOSTILE)


@pytest.fixture(scope="module")
def hostile_path(attacked: Board) -> Path:
    return written(attacked.path, attacked)


def unharmed(visited: Visited) -> None:
    visited.is_quiet()
    visited.fits()
    assert visited.page.evaluate("window.pwned") is None
    strangers = (
        "script[src], iframe, object, embed, base, link, form[action], [onerror], [onload], [onclick], [style*=fixed]"
    )
    assert visited.page.locator(strangers).count() == 0
    assert visited.page.locator("h1").count() == 1
    assert visited.page.evaluate("[...document.images].every((image) => image.src.startsWith('data:image/'))")


@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "light"), (PHONE, "dark")])
def test_every_entry_is_shown_as_text_and_nothing_runs(
    visit: Visit, hostile_path: Path, attacked: Board, size: tuple[int, int], scheme: str
) -> None:
    visited = visit(hostile_path, size=size, scheme=scheme, late=False)
    unharmed(visited)
    shown = visited.page.evaluate(SHOW_EVERY_ENTRY)
    unharmed(visited)
    names = [name for name, _ in shown]
    assert [(name, wider) for name, wider in shown if wider > 0] == []
    assert names == [clean.name(label) for label in attacked.labels.values()]
    assert len(set(names)) == len(HOSTILE)
    for text in (NAMED["script"], NAMED["img onerror"], NAMED["jinja"], NAMED["js template"], NAMED["entities"]):
        assert text in names


def test_long_names_stay_short_and_links_of_hostile_conditions_lead_there(visit: Visit, hostile_path: Path) -> None:
    visited = visit(hostile_path)
    page = visited.page
    tallest = page.evaluate("Math.max(...[...document.querySelectorAll('tbody tr')].map((row) => row.offsetHeight))")
    assert tallest < 600
    page.locator("#interventions-text").fill("onerror")
    link = page.locator('[data-table="effects"] .subject a').first
    wanted = link.inner_text()
    link.click()
    expect(page.locator("#flips-title")).to_be_focused()
    shown = page.locator("#flips-body").get_by_label("Condition").locator("option:checked").inner_text()
    assert re.sub(r" \(\d+\)$", "", shown) == wanted
    unharmed(visited)


def test_hostile_addresses_do_nothing(visit: Visit, hostile_path: Path) -> None:
    for text in ("<script>window.pwned=1</script>", "entry/<img src=x onerror=window.pwned=1>", "entry/%00/flips/%"):
        unharmed(visit(hostile_path, f"#{text}"))


def test_the_policy_stops_what_would_get_past_the_escaping(visit: Visit, page_path: Path, tmp_path: Path) -> None:
    attacks = (
        "<img src=x onerror='window.pwned = 1'>",
        "<script>window.pwned = 1</script>",
        "<style>main { display: none }</style>",
        "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>",
    )
    html = page_path.read_text(encoding="utf-8")
    path = tmp_path / "index.html"
    path.write_text(html.replace("</main>", "".join(attacks) + "</main>", 1), encoding="utf-8")
    page = visit(path).page
    page.locator(".card").first.wait_for()
    assert page.evaluate("window.pwned") is None
    assert page.locator("main").is_visible()
    assert set(page.evaluate("window.refused")) == {"script-src-attr", "script-src-elem", "style-src-elem", "img-src"}
