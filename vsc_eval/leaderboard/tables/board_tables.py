"""From a board to all its tables."""

from __future__ import annotations

from vsc_eval.leaderboard.board import Board
from vsc_eval.leaderboard.tables.table import BoardTables, Data


def board_tables(board: Board) -> BoardTables:
    """Pure and deterministic: the same board gives the same tables. Raises nothing of a board that was checked."""
    return BoardTables((), (), Data((), ()), Data((), ()))
