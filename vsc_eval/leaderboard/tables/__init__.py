"""Tables of a board: `board_tables` makes them, the other functions write them.

>>> tables = board_tables(board)
>>> print(to_markdown(tables.baseline[0]))
"""

from vsc_eval.leaderboard.tables.board_tables import board_tables
from vsc_eval.leaderboard.tables.table import BoardTables, Cell, Column, Data, Row, Table

__all__ = ["BoardTables", "Cell", "Column", "Data", "Row", "Table", "board_tables"]
