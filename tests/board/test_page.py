"""The page as text: its policy, what it must not hold, and that it is the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile import HOSTILE, NAMED, hostile_board
from samples import sample_board
from table_boards import golden_board

from vsc_eval.board.board import Board
from vsc_eval.board.page.entry_view import entry_view
from vsc_eval.board.page.render import SCRIPTS, page_script, page_style, render_page
from vsc_eval.board.spec import BoardSpec
from vsc_eval.board.tables import board_tables

PAGE = Path(sys.modules["vsc_eval.board.page.render"].__file__ or "").parent


class Parsed(HTMLParser):
    """Tags, attributes and the texts of script and style elements, as a browser splits them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[dict[str, str | None], str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.raw.append((self.tags[-1][1] | {"tag": self.tags[-1][0]}, data))

    def texts(self, tag: str) -> list[str]:
        """Contents of the elements of that tag that run or style, not of data blocks."""
        return [text for attrs, text in self.raw if attrs["tag"] == tag and "type" not in attrs and text.strip()]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return sample_board(tmp_path_factory.mktemp("board"), 2)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return hostile_board(tmp_path_factory.mktemp("hostile"), HOSTILE)


def check_policy(html: str) -> None:
    parsed = Parsed(html)
    (policy,) = [attrs["content"] or "" for tag, attrs in parsed.tags if "http-equiv" in attrs]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        (text,) = parsed.texts(tag)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    for tag, attrs in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        assert not [key for key in attrs if key.startswith("on") or key in ("style", "src", "srcdoc", "action")], tag
        assert (attrs.get("href") or "#").startswith("#")


def test_the_policy_names_the_only_script_and_style(board: Board) -> None:
    html = render_page(board)
    check_policy(html)
    with pytest.raises(AssertionError):
        check_policy(html.replace("</style>", " </style>", 1))
    with pytest.raises(AssertionError):
        check_policy(html.replace("<h1>", '<h1 onclick="x()">', 1))


def test_a_hostile_board_adds_no_element_and_no_attribute(board: Board, hostile: Board) -> None:
    html = render_page(hostile)
    check_policy(html)

    def kinds(text: str) -> set[tuple[str, str]]:
        return {(tag, key) for tag, attrs in Parsed(text).tags for key in ("", *attrs)}

    # External data sets have a table with notes that the sample board lacks; no attack is made of these.
    assert {tag for tag, _ in kinds(html)} <= {tag for tag, _ in kinds(render_page(board))} | {"ul", "li"}
    assert {key for _, key in kinds(html)} <= {key for _, key in kinds(render_page(board))} | {"dir", "data-other"}
    assert "49{" not in html
    for text in (NAMED["right to left override"], NAMED["nul"], NAMED["zero width"], NAMED["long"]):
        assert text not in html


def test_data_blocks_are_json_that_cannot_end_their_element(hostile: Board) -> None:
    html = render_page(hostile)
    blocks = re.findall(r'<script type="application/json" id="([a-z0-9-]+)">(.*?)</script>', html, re.S)
    assert len(blocks) == len({key for key, _ in blocks}) > 2 * len(HOSTILE)
    for _, text in blocks:
        assert not set("<>&\u2028\u2029") & set(text)
        json.loads(text)


def test_the_same_board_gives_the_same_page_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from samples import sample_board; "
        "from vsc_eval.board.page.render import render_page; "
        "sys.stdout.write(render_page(sample_board(Path(sys.argv[1]), 2)))"
    )
    pages = []
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths}
        command = [sys.executable, "-c", code, str(tmp_path / seed)]
        pages.append(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert pages[0] == pages[1] != ""


def test_a_board_without_entries_says_so(board: Board) -> None:
    html = render_page(Board(path=board.path, spec=board.spec, entries=()))
    check_policy(html)
    assert "This board has no entries yet." in html


def test_texts_of_board_yaml_are_escaped(board: Board) -> None:
    attack = "</title><script>alert(1)</script>"
    spec = BoardSpec(**{**board.spec.model_dump(), "title": attack, "description": attack})
    html = render_page(Board(path=board.path, spec=spec, entries=board.entries))
    check_policy(html)
    assert attack not in html
    assert html.count("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;") == 3


def test_totals_of_the_map_hold_synthetic_tasks_alone() -> None:
    board = golden_board()
    mixed = next(entry for entry in board.entries if "made-up" in entry.tasks)
    own = mixed.row("baseline", "all")
    grid = entry_view(mixed, board)["grid"]
    cells = [cell for cell in grid["values"][0] if cell[0] < 7 and cell[1] < 3]
    (total,) = [cell for cell in grid["values"][0] if cell[:2] == (7, 3)]
    assert own is not None
    assert total[2] == sum(cell[2] for cell in cells) < own.n
    assert total[4] == pytest.approx(sum(cell[2] * cell[4] for cell in cells) / total[2], abs=1e-4)
    assert not any(cell[0] == 7 for place, values in grid["values"].items() if place for cell in values)


def test_the_head_says_what_the_board_is_and_who_leads(board: Board) -> None:
    head = render_page(board).partition("</header>")[0]
    assert "Vision-language models answer the same 84 items of 7 synthetic tasks, as they are and while" in head
    ranking = next(table for table in board_tables(board).baseline if table.key == "ranking")
    first = [row for row in ranking.rows if row.cells[0].value == 1]
    for row in ranking.rows:
        assert (f'href="#entry/{row.entries[0]}"' in head) == (row in first)
    assert ("not told apart" in head) == (len(first) > 1)
    alone = Board(path=board.path, spec=board.spec, entries=board.entries[:1])
    assert "Most accurate without edits: <a" in render_page(alone)


def test_every_script_file_is_in_the_page_and_asks_nothing_of_the_network() -> None:
    assert {path.stem for path in (PAGE / "static").glob("*.js")} == set(SCRIPTS)
    for text in (page_script(), page_style()):
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "fetch(",
            "url(",
            "@import",
        ):
            assert word not in text


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast of two colours, `#rgb` or `#rrggbb`."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_figures_on_coloured_cells_have_contrast_in_both_schemes() -> None:
    cells = re.findall(r"\.([sd])(\d) \{ background: (#\w+); color: (#\w+); \}", page_style())
    assert len(cells) == 2 * (10 + 9)
    for letter, step, paper, ink in cells:
        assert contrast(paper, ink) >= 4.5, f".{letter}{step}"
    assert contrast("#fff", "#767676") == pytest.approx(4.54, abs=0.01)


def test_importing_the_page_loads_nothing_heavy() -> None:
    code = (
        "import sys, vsc_eval.board.page.render;"
        "print(*[m for m in ('torch', 'transformers', 'lm_eval', 'vllm') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert loaded.stdout.split() == []
