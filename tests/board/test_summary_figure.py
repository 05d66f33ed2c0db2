"""The summary figure: the same bytes every time, whatever the names, and words that say what it shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hostile import NAMED, hostile_entry
from matplotlib import colormaps, rcParams
from PIL import Image
from samples import sample_entry, with_headlines, with_results

from vsc_eval.board.figure import effects, extremes, summary_figure
from vsc_eval.board.records import Entry
from vsc_eval.errors import BackendError
from vsc_eval.figures.style import ink
from vsc_eval.tables.numbers import percent

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "g", "defs", "path", "use", "clipPath", "rect", "style", "image", "metadata", "title"}


def drawn(entry: Entry, folder: Path) -> tuple[str, bytes, bytes]:
    """Every text that is drawn, which matplotlib repeats in comments, and the two files."""
    svg, png = folder / "figure.svg", folder / "figure.png"
    summary_figure(entry, svg, png)
    words = "\n".join(re.findall("<!-- (.*?) -->", svg.read_text(encoding="utf-8"), re.S))
    return words, svg.read_bytes(), png.read_bytes()


def without_cells(entry: Entry) -> Entry:
    return with_results(entry, rows=tuple(row for row in entry.results.rows if row.scope != "cell"))


ENTRIES = {
    "edited": sample_entry(source="study"),
    "baseline": sample_entry(conditions=()),
    "edited, no cells": without_cells(sample_entry()),
    "baseline, no cells": without_cells(sample_entry(conditions=())),
    "two tasks": sample_entry(tasks=("counting", "logic")),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_figure_is_there_for_every_kind_of_entry(name: str, tmp_path: Path) -> None:
    words, svg, png = drawn(ENTRIES[name], tmp_path)
    assert "model-a · accuracy " in words
    assert ("Accuracy without edits" in words) == ("no cells" not in name)
    assert ("What the edits change" in words) == ("baseline" not in name)
    assert ("Accuracy by task" in words) == (name not in ("edited", "two tasks"))
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == (1200, 640)
        assert len(image.convert("RGB").getcolors(100_000) or ()) > 20
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter() if SVG in element.tag} <= DRAWN
    for holder in (svg, png):
        assert not re.search(rb"Matplotlib|20\d\d-\d\d-\d\dT", holder)


def test_the_same_entry_gives_the_same_bytes_whatever_the_users_style(tmp_path: Path) -> None:
    entry = ENTRIES["edited"]
    first = drawn(entry, tmp_path)
    before = dict(rcParams)
    try:
        rcParams.update({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "none", "savefig.dpi": 30})
        assert drawn(entry, tmp_path) == first
        assert rcParams["font.size"] == 20
    finally:
        rcParams.update(before)


def test_the_words_have_the_numbers_of_the_rows(tmp_path: Path) -> None:
    entry = ENTRIES["edited"]
    words, _, _ = drawn(entry, tmp_path)
    overall = entry.row("baseline", "all")
    assert overall is not None
    assert overall.accuracy.value is not None
    assert f"accuracy {100 * overall.accuracy.value:.1f} [" in words
    assert f"of {overall.n} items" in words
    cells = [row for row in entry.results.rows if row.condition == "baseline" and row.scope == "cell"]
    shares = [row.accuracy.value for row in cells if row.accuracy.value is not None]
    assert {percent(share, 0) for share in shares} <= set(words.splitlines())
    assert "all conditions" in words


def test_only_headline_conditions_are_drawn() -> None:
    entry = ENTRIES["edited"]
    assert [row.condition for row, _ in effects(with_headlines(entry, "logic"))] == ["logic"]
    assert len(effects(entry)) == 4


def test_extremes_are_named_once() -> None:
    found = effects(ENTRIES["edited"])
    named = extremes(found * 3)
    assert len({point for _, point in named}) == len(named) <= 5
    assert min(y for _, (_, y) in found) in {y for _, (_, y) in named}
    assert max(x for _, (x, _) in found) in {x for _, (x, _) in named}


def test_figures_in_cells_have_the_contrast_that_readers_need() -> None:
    def luminance(rgb: np.ndarray) -> float:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for share in np.linspace(0, 1, 101):
        ground = luminance(np.array(colormaps["Blues"](share)[:3]))
        type_ = {"white": 1.0, "black": 0.0}[ink(colormaps["Blues"](share))]
        light, dark = max(ground, type_), min(ground, type_)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert ink("white") == "black"


@pytest.mark.parametrize(
    "name",
    [
        "script", "html comment end in html", "mathtext open", "mathtext unknown", "latex specials",
        "right to left", "combining stack", "emoji", "chinese", "nul", "controls",
        "spaces only", "long", "noncharacters",
    ],
)  # fmt: skip
def test_hostile_names_are_only_text_in_it(name: str, tmp_path: Path) -> None:
    entry = hostile_entry(NAMED[name], tasks=("counting",))
    words, svg, _ = drawn(entry, tmp_path)
    # matplotlib repeats every text in a comment, which must not end before its end.
    elements = [element for element in ET.fromstring(svg).iter() if SVG in element.tag]
    assert {element.tag.removeprefix(SVG) for element in elements} <= DRAWN
    for element in elements:
        assert not [name for name in element.attrib if name.startswith("on")]
        assert all(v.startswith(("#", "data:image/png;")) for k, v in element.attrib.items() if k.endswith("href"))
    assert b"--!>" not in svg
    assert len(words) < 2000


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="file"):
        summary_figure(ENTRIES["baseline"], tmp_path / "file" / "x.svg", tmp_path / "x.png")
