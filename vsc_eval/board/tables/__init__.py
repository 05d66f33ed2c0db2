"""From a board to all its tables, and the files that they are written to."""

from dataclasses import dataclass

from vsc_eval.board.board import Board
from vsc_eval.board.tables.baseline import baseline_data, baseline_tables
from vsc_eval.board.tables.interventions import intervention_tables
from vsc_eval.tables.clean import LONG, markdown, name
from vsc_eval.tables.formats import to_csv, to_latex, to_markdown
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
    """`effects`, `parts`, `combined`, `controls`: those for which some entry has figures; none where all entries are of
    baselines alone."""
    baseline_data: Data
    interventions_data: Data


def board_tables(board: Board) -> BoardTables:
    """Pure and deterministic: the same board gives the same tables. Raises nothing of a board that was checked."""
    interventions, figures = intervention_tables(board)
    return BoardTables(baseline_tables(board), interventions, baseline_data(board), figures)


def table_files(tables: BoardTables, title: str) -> dict[str, str]:
    """File name -> text. CSV has CRLF line ends and must be written without translating them.

    Where no entry has interventions there are no files of them.
    """
    parts = {
        "baseline": ("baselines", tables.baseline, tables.baseline_data),
        "interventions": ("interventions", tables.interventions, tables.interventions_data),
    }
    if not tables.interventions:
        del parts["interventions"]
    files = {}
    # A comment of LaTeX ends with its line, and the title is on one.
    shown = name(title, LONG).encode("ascii", "replace").decode()
    for stem, (what, found, data) in parts.items():
        head = _LATEX_HEAD.replace("{what}", what).replace("{title}", shown)
        files[f"{stem}.md"] = "\n".join([f"# {markdown(title, LONG)}: {what}\n", *map(to_markdown, found)])
        files[f"{stem}.tex"] = "\n".join([head, *map(to_latex, found)])
        files[f"{stem}.csv"] = to_csv(data)
    return files
