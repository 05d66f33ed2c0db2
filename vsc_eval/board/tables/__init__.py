"""Tables of a board: `board_tables` makes them, `table_files` writes them in every format."""

from vsc_eval.board.tables.board_tables import BoardTables, board_tables, table_files

__all__ = ["BoardTables", "board_tables", "table_files"]
