"""Tables of a board: `board_tables` makes them, the other functions write them.

>>> tables = board_tables(board)
>>> print(to_markdown(tables.baseline[0]))
"""

from vsc_eval.board.tables.board_tables import board_tables
from vsc_eval.board.tables.csv_table import to_csv
from vsc_eval.board.tables.files import table_files
from vsc_eval.board.tables.latex import to_latex
from vsc_eval.board.tables.markdown import escape as escape_markdown
from vsc_eval.board.tables.markdown import to_markdown
from vsc_eval.board.tables.table import BoardTables, Cell, Column, Data, Row, Table

__all__ = [
    "BoardTables",
    "Cell",
    "Column",
    "Data",
    "Row",
    "Table",
    "board_tables",
    "escape_markdown",
    "table_files",
    "to_csv",
    "to_latex",
    "to_markdown",
]
