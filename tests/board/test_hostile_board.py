"""Every hostile string in every field, through everything that a board is made of."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import HOSTILE, HOSTILE_IDS, NO_JSON_TEXT, hostile_board, hostile_parts
from hostile_entries import NOTE_LENGTH

from vsc_eval.analysis.rows import flips
from vsc_eval.board.board import Board
from vsc_eval.board.build import build_board, checked_board
from vsc_eval.board.entry_files import ABOUT, read_entry, write_entry
from vsc_eval.board.gallery import gallery_views
from vsc_eval.board.tables import board_tables
from vsc_eval.errors import DataError
from vsc_eval.tables.clean import everywhere, name
from vsc_eval.tables.formats import to_csv, to_latex, to_markdown
from vsc_eval.tables.table import Table

TASKS = ("counting",)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return hostile_board(tmp_path_factory.mktemp("hostile"), HOSTILE, tasks=TASKS)


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_a_folder_with_it_reads_as_it_was_written(text: str, tmp_path: Path) -> None:
    parts = hostile_parts(text, tasks=TASKS)
    about = write_entry(parts, tmp_path / "a")
    entry = read_entry(tmp_path / "a")
    assert (entry.name, entry.about.note, entry.about.sha256) == (text, text[:NOTE_LENGTH], about.sha256)
    assert entry.table.items == parts.table.items
    assert entry.table.conditions == parts.table.conditions
    assert (entry.shown, entry.results.rows) == (parts.shown, parts.results.rows)
    assert entry.settings == parts.settings
    assert write_entry(read_entry(tmp_path / "a"), tmp_path / "b") == about


@pytest.mark.parametrize("name", NO_JSON_TEXT)
def test_a_file_with_what_is_no_text_is_refused_by_name(name: str, tmp_path: Path) -> None:
    mark = '"\\u2601mark"'
    write_entry(hostile_parts("\N{CLOUD}mark", tasks=TASKS), tmp_path / "a")
    path = tmp_path / "a" / ABOUT
    damaged = path.read_bytes().replace(mark.encode(), NO_JSON_TEXT[name])
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_entry(tmp_path / "a")


def test_the_board_with_all_of_them_is_right(board: Board) -> None:
    assert [e.about.sha256 for e in checked_board(board.path).entries] == [e.about.sha256 for e in board.entries]


def test_the_gallery_gives_every_string_made_plain(board: Board) -> None:
    data, views = gallery_views(board)
    assert all(source.startswith("data:image/") for source in data.pop("sources"))
    assert everywhere([data, views]) == [data, views]
    for entry, shown in zip(board.entries, views, strict=True):
        assert {c["name"] for c in shown["conditions"]} == {name(c.name) for c in entry.edits}
        assert len(shown["flips"]["after"]) == sum(len(flips(entry.table, condition.name)) for condition in entry.edits)
    questions = set(data["items"]["question"])
    assert set(everywhere(HOSTILE)) <= questions
    assert {task for task in data["tasks"] if task not in TASKS} == set(map(name, HOSTILE))


@pytest.mark.parametrize("write", [to_markdown, to_latex], ids=["markdown", "latex"])
def test_tables_have_a_line_for_every_row(write: Callable[[Table], str], board: Board) -> None:
    tables = board_tables(board)
    for table in (*tables.baseline, *tables.interventions):
        text = write(table)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]", text)
        n_rows = sum(row.is_headline for row in table.rows)
        assert sum(line.startswith("| ") or line.endswith(r"\\") for line in text.splitlines()) >= n_rows


def test_csv_reads_back_and_no_cell_is_a_formula(board: Board) -> None:
    tables = board_tables(board)
    for data in (tables.baseline_data, tables.interventions_data):
        header, *rows = csv.reader(io.StringIO(to_csv(data), newline=""))
        assert tuple(header) == data.columns
        assert len(rows) == len(data.rows)
        for row, given in zip(rows, data.rows, strict=True):
            for cell, value in zip(row, given, strict=True):
                if isinstance(value, str):
                    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_board_of_them_is_built_and_built_again_to_the_same(tmp_path: Path) -> None:
    few = [
        text for name, text in zip(HOSTILE_IDS, HOSTILE, strict=True) if name in ("script_end", "yaml_document", "nul")
    ]
    hostile_board(tmp_path, few, tasks=TASKS)
    assert f"cards/{checked_board(tmp_path).entries[0].id}.md" in build_board(tmp_path).written
    files = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert sum(path.suffix == ".png" for path in files) == 3
    assert build_board(tmp_path).written == ()
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == files
