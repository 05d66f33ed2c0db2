"""From a board to all its tables, and the files that they are written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsc_eval.board.board import Board
from vsc_eval.board.tables.baseline import baseline_tables, external_rankings, synthetic_ranking
from vsc_eval.board.tables.data import baseline_data, interventions_data
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.interventions import intervention_tables
from vsc_eval.tables.clean import LONG, markdown, name
from vsc_eval.tables.csv import to_csv
from vsc_eval.tables.latex import to_latex
from vsc_eval.tables.markdown import to_markdown
from vsc_eval.tables.table import Data, Table

_LATEX_HEAD = r"""% {title}: {what}. Made by `vsc-eval board build`; changes are lost.
% Needs \usepackage{booktabs,longtable} and a text width of 16 cm.
"""


@dataclass(frozen=True)
class BoardTables:
    """Everything that is printed of a board."""

    baseline: tuple[Table, ...]
    """`ranking`, `tasks`, `cells` where synthetic tasks were asked, `external` where others were."""
    interventions: tuple[Table, ...]
    """`effects`, `parts`, `unions`, `controls`: those for which some entry has figures; none where all entries are of
    baselines alone."""
    baseline_data: Data
    interventions_data: Data


def board_tables(board: Board) -> BoardTables:
    """Pure and deterministic: the same board gives the same tables. Raises nothing of a board that was checked."""
    view = BoardView.of(board)
    ranking, external = synthetic_ranking(view), external_rankings(view)
    return BoardTables(
        baseline=baseline_tables(view, ranking, external),
        interventions=intervention_tables(view),
        baseline_data=baseline_data(view, ranking, external),
        interventions_data=interventions_data(view),
    )


def table_files(tables: BoardTables, title: str) -> dict[str, str]:
    """File name -> text. CSV has CRLF line ends and must be written without translating them.

    Where no entry has interventions there are no files of them.
    """
    files = _files("baseline", "baselines", tables.baseline, title) | {"baseline.csv": to_csv(tables.baseline_data)}
    if tables.interventions:
        files |= _files("interventions", "interventions", tables.interventions, title)
        files["interventions.csv"] = to_csv(tables.interventions_data)
    return files


def _files(stem: str, what: str, tables: Sequence[Table], title: str) -> dict[str, str]:
    # A comment of LaTeX ends with its line, and the title is on one.
    shown = name(title, LONG).encode("ascii", "replace").decode()
    head = _LATEX_HEAD.replace("{what}", what).replace("{title}", shown)
    return {
        f"{stem}.md": "\n".join([f"# {markdown(title, LONG)}: {what}\n", *map(to_markdown, tables)]),
        f"{stem}.tex": "\n".join([head, *map(to_latex, tables)]),
    }
