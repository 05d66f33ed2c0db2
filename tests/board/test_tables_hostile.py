"""Hostile text in every field: Markdown shows it as text, CSV opens safely, LaTeX compiles."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hostile import HOSTILE, HOSTILE_IDS
from hostile_entries import hostile_entry
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from table_boards import board_of

from vsc_eval.board.tables import (
    BoardTables,
    Cell,
    Column,
    Data,
    Row,
    Table,
    board_tables,
    table_files,
    to_csv,
    to_latex,
    to_markdown,
)
from vsc_eval.board.tables.plain_text import plain

TITLE = "Sample | <b>board</b> $x$ % \n\\input{x}"
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARMLESS = {"text", "text_special"}
OWN_TAGS = {"<span>", "</span>", "<sub>", "</sub>"}
LOOKED_FOR_LATER = re.compile(
    r"@\w|#\w|\bGH-\d|https?://|\bwww\.|:[A-Za-z0-9_+\-]+:|[\w.+\-]+@[\w\-]+\.|mailto:\S+@\w", re.IGNORECASE
)


@pytest.fixture(scope="module")
def tables() -> BoardTables:
    return board_tables(board_of(*map(hostile_entry, HOSTILE)))


@pytest.fixture(scope="module")
def files(tables: BoardTables) -> dict[str, str]:
    return table_files(tables, TITLE)


def one_cell(text: str) -> Table:
    columns = (Column("name", text, "text"), Column("n", "n", "count"))
    return Table("t", text, columns, (Row((Cell(text), Cell("7", 7.0)), ()),), (f"Note: {text}",), section="name")


def parsed(text: str) -> list[Token]:
    return GITHUB.parse(text)


def shown(token: Token) -> str:
    """The text of an inline token as a reader sees it; anything but text and our own tags is a mistake."""
    words = []
    for child in token.children or ():
        if child.type == "html_inline":
            assert child.content in OWN_TAGS, child.content
        else:
            assert child.type in HARMLESS, (child.type, token.content)
            words.append(child.content)
    text = "".join(words)
    assert not LOOKED_FOR_LATER.search(text), text
    return text.replace("\N{ZERO WIDTH SPACE}", "")


def table_cells(tokens: list[Token]) -> list[str]:
    """The texts of all cells, the head's first."""
    return [
        shown(tokens[place + 1]) for place, token in enumerate(tokens) if token.type in ("th_open", "td_open")
    ]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_markdown_shows_a_name_as_it_reads(text: str) -> None:
    tokens = parsed(to_markdown(one_cell(text)))
    assert table_cells(tokens) == [plain(text, 60), "n", plain(text, 40), "7"]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h2"]
    assert shown(tokens[1]) == plain(text, 2000)
    assert shown(tokens[-2]) == plain(f"Note: {text}", 2000)
    assert not any(token.type in ("html_block", "fence", "code_block", "hr", "blockquote_open") for token in tokens)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.one_of(st.sampled_from("\\`*_[]()<>|~$&{}!@#:/w.\n\t-+= a1"), st.characters()), max_size=30))
def test_markdown_shows_any_text_as_it_reads(text: str) -> None:
    assert table_cells(parsed(to_markdown(one_cell(text))))[2:] == [plain(text, 40), "7"]


@pytest.mark.parametrize("name", ["baseline.md", "interventions.md"])
def test_a_hostile_boards_markdown_is_headings_tables_and_notes(name: str, files: dict[str, str]) -> None:
    tokens = parsed(files[name])
    allowed = {"heading", "paragraph", "inline", "table", "thead", "tbody", "tr", "th", "td"}
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} == allowed
    for token in tokens:
        if token.type == "inline":
            shown(token)


@pytest.mark.parametrize(("name", "which"), [("baseline.md", "baseline"), ("interventions.md", "interventions")])
def test_no_row_is_lost_or_torn(name: str, which: str, files: dict[str, str], tables: BoardTables) -> None:
    tokens = parsed(files[name])
    wanted: tuple[Table, ...] = getattr(tables, which)
    headline = [[row for row in table.rows if row.is_headline] for table in wanted]
    assert sum(token.type == "table_open" for token in tokens) == len(wanted)
    assert len(table_cells(tokens)) == sum(
        (1 + len(rows)) * len(table.columns) for table, rows in zip(wanted, headline, strict=True)
    )


_FORMULA_START = re.compile(r"\s*['\"]?\s*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]")


def _number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["baseline.csv", "interventions.csv"])
def test_csv_opens_safely(name: str, files: dict[str, str]) -> None:
    text = files[name]
    assert text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) - 1 == text.count("\r\n") - 1
    for field in (field for row in rows for field in row if not _number(field)):
        assert field.isprintable(), field
        # In some countries a spreadsheet splits at semicolons or tabs, whatever the quotes say.
        for part in re.split(r"[;\t|]", field):
            assert part.strip().startswith("'") or not _FORMULA_START.match(part), field


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_csv_keeps_a_text_in_one_field(text: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(Data(("a", "b"), ((text, -0.25),))), newline="")))
    assert rows[0] == ["a", "b"]
    assert rows[1][1] == "-0.25"
    # Apart from the apostrophes it is the text.
    assert rows[1][0].replace("'", "") == plain(text, 200).replace("'", "")


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


COMMANDS = {
    *("begin", "end", "caption", "toprule", "midrule", "bottomrule", "endhead", "endfoot", "multicolumn", "cmidrule"),
    *("addlinespace", "textbf", "footnotesize", "setlength", "tabcolsep", "par", "noindent", "ldots", "rightarrow"),
    *(
        "textbackslash",
        "textasciicircum",
        "textasciitilde",
        "textless",
        "textgreater",
        "textbar",
        "times",
        "circ",
        "pm",
    ),
    *("leq", "geq", "cdot"),
}


def check_latex(text: str) -> None:
    """What pdfLaTeX would trip over, without it: no stray special, no command but ours, whole rows."""
    assert text.isascii()
    body = "\n".join(line for line in text.split("\n") if not line.startswith("% "))
    assert set(re.findall(r"\\([A-Za-z]+)", body)) <= COMMANDS
    bare = re.sub(r"\\(?:[A-Za-z]+|[\\{}$&#%_])", "", body.replace(r"\\*", r"\\"))
    assert not re.search(r"[#%_~]", bare)
    assert "^" not in bare.replace("$^$", "")
    assert re.fullmatch(r"(?:[^$]|\$[^$\n]{0,3}\$)*", bare, re.DOTALL), "a formula is left open"
    depth = 0
    for character in re.sub(r"\\\\|\\[{}]", "", body):
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    for spec, inner in re.findall(r"\\begin\{longtable\}\{@\{\}([rl]+)@\{\}\}(.*?)\\end\{longtable\}", body, re.DOTALL):
        for line in inner.split("\\midrule", 1)[1].split("\n"):
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(spec) - 1, line
                assert not line.startswith(("[", "*"))
    assert body.count(r"\begin{longtable}") == body.count(r"\end{longtable}") > 0


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_latex_of_a_name_is_sound(text: str) -> None:
    check_latex(to_latex(one_cell(text)))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.one_of(st.sampled_from("\\{}$&#%_^~<>|[]*`'\"-?!\n a1"), st.characters()), max_size=30))
def test_latex_of_any_text_is_sound(text: str) -> None:
    check_latex(to_latex(one_cell(text)))


@pytest.mark.parametrize("name", ["baseline.tex", "interventions.tex"])
def test_latex_of_a_hostile_board_is_sound(name: str, files: dict[str, str]) -> None:
    check_latex(files[name])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["baseline.tex", "interventions.tex"])
def test_latex_of_a_hostile_board_compiles(name: str, files: dict[str, str], tmp_path: Path) -> None:
    head = "\\documentclass{article}\\usepackage[a4paper,hmargin=2.4cm]{geometry}\\usepackage{booktabs,longtable}"
    (tmp_path / "t.tex").write_text(f"{head}\\begin{{document}}\n{files[name]}\\end{{document}}\n")
    command = ["pdflatex", "-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
