"""The boards in leaderboards/: every entry passes the checks, and tables and page are what the entries make."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsc_eval.board.build import checked_board, stale_files
from vsc_eval.board.check import check_board
from vsc_eval.board.spec import BOARD_FILE

LEADERBOARDS = Path(__file__).resolve().parents[2] / "leaderboards"
BOARDS = sorted(file.parent for file in LEADERBOARDS.glob(f"*/{BOARD_FILE}"))


def test_there_is_one() -> None:
    assert BOARDS


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
def test_its_entries_pass_the_checks(board: Path) -> None:
    assert check_board(board) == ()


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
def test_its_tables_and_page_are_up_to_date(board: Path) -> None:
    stale = stale_files(checked_board(board))
    assert not stale, f"run `vsc-eval board build leaderboards/{board.name}`: {stale}"
