"""The files that a board's tables are written to."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.board.tables.csv_table import to_csv
from vsc_eval.board.tables.latex import to_latex
from vsc_eval.board.tables.markdown import escape, to_markdown
from vsc_eval.board.tables.plain_text import LONG, plain
from vsc_eval.board.tables.table import BoardTables, Table

_LATEX_HEAD = r"""% {title}: {what}. Made by `vsc-eval board build`; changes are lost.
% Needs \usepackage{booktabs,longtable} and a text width of 16 cm.
"""


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
    shown = plain(title, LONG)
    # A comment of LaTeX ends with its line, and the title is on one.
    head = _LATEX_HEAD.replace("{what}", what).replace("{title}", shown.encode("ascii", "replace").decode())
    return {
        f"{stem}.md": "\n".join([f"# {escape(shown)}: {what}\n", *map(to_markdown, tables)]),
        f"{stem}.tex": "\n".join([head, *map(to_latex, tables)]),
    }
