"""No text of a cell, a head, a title or a note breaks out of its format."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from format_checks import check_csv, check_latex, parsed, shown, table_cells
from hostile_texts import HOSTILE, HOSTILE_IDS
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from vsc_eval.tables.clean import SHORT, TEXT, code, json_block, name, plain
from vsc_eval.tables.console import draw
from vsc_eval.tables.formats import block, folded, image, to_csv, to_html, to_latex, to_markdown
from vsc_eval.tables.table import Column, Data, Table, cell, table

SPECIAL = "\\`*_[]()<>|~$&{}!@#%^:;/w.\n\t\r\x1b\x9b\u202e-+='\"? a1"
ANY = st.text(alphabet=st.one_of(st.sampled_from(SPECIAL), st.characters()), max_size=30)


def one_cell(text: str) -> Table:
    columns = (Column("name", text), Column("n", "n", "count", note=text))
    return table("t", text, columns, [(text, cell(7, note=text))], (f"Note: {text}",), section="name")


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_markdown_shows_a_name_as_it_reads(text: str) -> None:
    tokens = parsed(to_markdown(one_cell(text)))
    assert table_cells(tokens) == [name(text, 60), "n", name(text, SHORT), "7"]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2"]
    assert shown(tokens[1]) == name(text, TEXT)
    assert shown(tokens[-2]) == name(f"Note: {text}", TEXT)
    assert not any(token.type in ("html_block", "fence", "code_block", "hr", "blockquote_open") for token in tokens)


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_markdown_shows_any_text_as_it_reads(text: str) -> None:
    assert table_cells(parsed(to_markdown(one_cell(text))))[2:] == [name(text, SHORT), "7"]


@settings(max_examples=100, deadline=None)
@given(ANY)
def test_markdowns_other_parts_keep_any_text_in_its_place(text: str) -> None:
    (span,) = parsed(code(text))[1].children or ()
    assert span.type == "code_inline"
    # In a table the backslash before a pipe is gone, here it is not.
    assert span.content.replace("\\|", "|").strip() == plain(text).replace("\\|", "|").strip()
    (fence,) = parsed(block(text, "yaml"))
    assert fence.type == "fence"
    opened = folded(text, "inside").split("\n")
    assert opened[0] == "<details>"
    assert "<" not in opened[1].removeprefix("<summary>").removesuffix("</summary>").replace("<span>$</span>", "")
    (picture, *_) = parsed(image("x.png", text, "Caption."))[1].children or ()
    assert (picture.type, picture.attrs["src"]) == ("image", "x.png")


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_csv_keeps_a_text_in_one_field(text: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(Data(("a", "b"), ((text, -0.25),))), newline="")))
    assert rows[0] == ["a", "b"]
    assert rows[1][1] == "-0.25"
    # Apart from the apostrophes it is the text.
    assert rows[1][0].replace("'", "") == (name(text, 200) if text else "").replace("'", "")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        (" \t=1", "'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("counting:scale=4", "counting:scale=4"),
        ("a-b+c@d", "a-b+c@d"),
        ("", ""),
    ],
)
def test_csv_defuses_formulas_in_text_only(text: str, safe: str) -> None:
    (_, (field, number)) = csv.reader(io.StringIO(to_csv(Data(("a", "b"), ((text, -1.5e-07),)))))
    assert (field, number) == (safe, "-1.5e-07")


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_csv_of_any_text_is_safe(text: str) -> None:
    check_csv(to_csv(one_cell(text)))


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_latex_of_a_name_is_sound(text: str) -> None:
    check_latex(to_latex(one_cell(text)))


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_latex_of_any_text_is_sound(text: str) -> None:
    check_latex(to_latex(one_cell(text)))


class Read(HTMLParser):
    """Tags with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.tooltips: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {key for key, _ in attrs} <= {"style", "title", "colspan"}
        self.tooltips += [value or "" for key, value in attrs if key == "title"]

    def handle_data(self, data: str) -> None:
        self.words += [data] if data.strip() else []


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_html_of_any_text_is_that_text(text: str) -> None:
    found = Read(to_html(one_cell(text)))
    assert found.tags == ["table", "caption", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "p", "small"]
    shown_text = name(text, TEXT)
    assert (
        "".join(found.words).split()
        == "".join([*(shown_text, shown_text, "n", shown_text, "7"), name(f"Note: {text}", TEXT)]).split()
    )
    assert set(found.tooltips) <= {shown_text}


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_html_of_a_name_runs_nothing(text: str) -> None:
    assert set(Read(to_html(one_cell(text))).tags) <= {
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "small",
    }
    assert not re.search(r"<|>|</script", json_block({text: text}))


def drawn(found: Table, *, width: int = 100) -> str:
    file = io.StringIO()
    draw(found, Console(file=file, width=width, force_terminal=True, color_system="truecolor"))
    # What rich itself writes: bold and dim.
    return re.sub(r"\x1b\[(?:0|1|2|1;2|2;1)m", "", file.getvalue())


@settings(max_examples=100, deadline=None)
@given(ANY)
def test_a_terminal_gets_no_escape_sequence_of_any_text(text: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", drawn(one_cell(text)))


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_a_terminal_shows_a_name_on_its_row(text: str) -> None:
    lines = drawn(one_cell(text), width=5000).split("\n")
    assert sum(line.rstrip().endswith(" 7") for line in lines) == 1
