"""Boards of hostile entries: Markdown shows text as text, CSV opens safely, LaTeX compiles."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from format_checks import check_csv, check_latex, parsed, shown, table_cells
from hostile import HOSTILE
from hostile_entries import hostile_entry
from table_boards import board_of

from vsc_eval.board.tables import BoardTables, board_tables, table_files
from vsc_eval.tables.table import Table

TITLE = "Sample | <b>board</b> $x$ % \n\\input{x}"


@pytest.fixture(scope="module")
def tables() -> BoardTables:
    return board_tables(board_of(*map(hostile_entry, HOSTILE)))


@pytest.fixture(scope="module")
def files(tables: BoardTables) -> dict[str, str]:
    return table_files(tables, TITLE)


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


@pytest.mark.parametrize("name", ["baseline.csv", "interventions.csv"])
def test_csv_opens_safely(name: str, files: dict[str, str]) -> None:
    check_csv(files[name])


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
