"""The files of a fixed board's tables, letter by letter.

`VSC_EVAL_UPDATE_GOLDEN=1 python -m pytest tests/board/test_tables_golden.py` writes them anew: look at the
difference before committing it.
"""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path

import pytest
from table_boards import golden_board

from vsc_eval.board.tables import board_tables, table_files

GOLDEN = Path(__file__).parent / "golden"
NAMES = tuple(f"{stem}.{end}" for stem in ("baseline", "interventions") for end in ("md", "csv", "tex"))


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return table_files(board_tables(golden_board()), "Sample board")


def test_every_file_has_a_golden_one(files: dict[str, str]) -> None:
    assert sorted(files) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_as_it_was(name: str, files: dict[str, str]) -> None:
    made, path = files[name], GOLDEN / name
    if os.environ.get("VSC_EVAL_UPDATE_GOLDEN") == "1":
        path.write_bytes(made.encode())
    kept = path.read_bytes().decode()
    # Compared as bytes; shown by lines.
    difference = "\n".join(unified_diff(kept.splitlines(), made.splitlines(), "golden", "made", lineterm=""))
    assert made == kept, f"{name} differs from its golden file:\n{difference}"


def test_every_table_is_in_the_files(files: dict[str, str]) -> None:
    tables = board_tables(golden_board())
    for stem, of_stem in (("baseline", tables.baseline), ("interventions", tables.interventions)):
        for table in of_stem:
            assert f"## {table.title}\n" in files[f"{stem}.md"]
            assert rf"\caption{{{table.title}" in files[f"{stem}.tex"]
    assert [table.key for table in tables.baseline] == ["ranking", "tasks", "cells", "external"]
    assert [table.key for table in tables.interventions] == ["effects", "parts", "combined", "controls"]
