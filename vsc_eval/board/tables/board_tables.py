"""From a board to all its tables."""

from __future__ import annotations

from vsc_eval.board.board import Board
from vsc_eval.board.tables.baseline import baseline_tables, synthetic_ranking
from vsc_eval.board.tables.data import baseline_data, interventions_data
from vsc_eval.board.tables.external import external_rankings, external_table
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.interventions import effects_table, parts_table
from vsc_eval.board.tables.table import BoardTables
from vsc_eval.board.tables.unions import controls_table, unions_table


def board_tables(board: Board) -> BoardTables:
    """Pure and deterministic: the same board gives the same tables. Raises nothing of a board that was checked."""
    view = BoardView.of(board)
    ranking, external = synthetic_ranking(view), external_rankings(view)
    outside = external_table(external)
    edited = (effects_table(view), parts_table(view), unions_table(view), controls_table(view))
    return BoardTables(
        baseline=(*baseline_tables(view, ranking), *((outside,) if outside else ())),
        interventions=tuple(table for table in edited if table is not None),
        baseline_data=baseline_data(view, ranking, external),
        interventions_data=interventions_data(view),
    )
