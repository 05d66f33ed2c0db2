"""The board as one HTML file that opens from disk, without a network.

>>> html = render_page(board)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vsc_eval.board.board import Board
    from vsc_eval.board.tables import BoardTables

__all__ = ["render_page"]


def render_page(board: Board, tables: BoardTables | None = None) -> str:
    """The page of a board that was checked, with its `board_tables` if they are there already. The same board gives the
    same text.

    Raises DataError where a picture drawn anew is not the one that the entry's model saw.
    """
    from vsc_eval.board.page.render import page_html  # jinja2 and the tables load only here

    return page_html(board, tables)
