"""From a board to all its tables, the files that they are written to, and README.md: what a visitor of the repository
sees first."""

from dataclasses import dataclass

from vsc_eval.board.board import Board, backend_words, moment
from vsc_eval.board.records import Entry
from vsc_eval.board.tables.baseline import baseline_data, baseline_tables
from vsc_eval.board.tables.interventions import intervention_tables
from vsc_eval.tables.clean import LONG, TEXT, markdown, name
from vsc_eval.tables.formats import to_csv, to_latex, to_markdown
from vsc_eval.tables.numbers import counted
from vsc_eval.tables.table import Data, Table

_LATEX_HEAD = r"""% {title}: {what}. Made by `vsc-eval board build`; changes are lost.
% Needs \usepackage{booktabs,longtable} and a text width of 16 cm.
"""
_FIGURES = 4

_HEAD = """\
<!-- Made by `vsc-eval board build`; changes are lost. -->
# {title}

{description}{asked}

The whole board is one page: [index.html](index.html), which opens from disk. Tables: [baseline](tables/baseline.md) \
([CSV](tables/baseline.csv), [LaTeX](tables/baseline.tex)){interventions}.
"""
_INTERVENTIONS = (
    ", [interventions](tables/interventions.md) ([CSV](tables/interventions.csv), [LaTeX](tables/interventions.tex))"
)
_FOOT = """\
## Add yours

```
vsc-eval publish RUN --to {name}
vsc-eval board check {name}
```

RUN is the folder of a `vsc-eval run` or `vsc-eval study` that asked the same items. A pull request with the one new \
folder in `entries/` is enough: everything else here is made from those by `vsc-eval board build {name}`.
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
    """File name -> text. CSV has CRLF line ends and must be written without translating them. Where no entry has
    interventions there are no files of them."""
    parts = [("baseline", "baselines", tables.baseline, tables.baseline_data)]
    if tables.interventions:
        parts.append(("interventions", "interventions", tables.interventions, tables.interventions_data))
    files = {}
    # A comment of LaTeX ends with its line, and the title is on one.
    shown = name(title, LONG).encode("ascii", "replace").decode()
    for stem, what, found, data in parts:
        head = _LATEX_HEAD.replace("{what}", what).replace("{title}", shown)
        files[f"{stem}.md"] = "\n".join([f"# {markdown(title, LONG)}: {what}\n", *map(to_markdown, found)])
        files[f"{stem}.tex"] = "\n".join([head, *map(to_latex, found)])
        files[f"{stem}.csv"] = to_csv(data)
    return files


def readme(board: Board, tables: BoardTables) -> str:
    """The first table of the models, links to all others, the entries, and figures of the newest with interventions."""
    spec = board.spec
    version = f" (generator version {markdown(spec.generator_version, LONG)})" if spec.generator_version else ""
    head = _HEAD.format(
        title=markdown(spec.title, LONG),
        description="".join(f"{markdown(line, TEXT)}\n\n" for line in spec.description.splitlines() if line.strip()),
        asked=f"Every model is asked {spec.asked}{version}, read by `{spec.scoring}`.",
        interventions=_INTERVENTIONS if tables.interventions else "",
    )
    shown = [to_markdown(table) for table in tables.baseline[:1]]
    entries = ["## Entries\n", *map(_entry, board.entries)] if board.entries else ["No entries yet."]
    return "\n".join([head, *shown, *_figures(board), *entries, "", _FOOT.format(name=spec.name)])


def _figures(board: Board) -> list[str]:
    """The interventions' tables are too long for a first page: one row for each condition of each entry."""
    edited = [entry for entry in board.entries if entry.edits]
    if not edited:
        return []
    left_out = f" The newest {_FIGURES} of {len(edited)} entries." if len(edited) > _FIGURES else ""
    lines = [
        f"## Interventions\n\nEvery condition is in [tables/interventions.md](tables/interventions.md).{left_out}\n"
    ]
    for entry in sorted(edited, key=moment, reverse=True)[:_FIGURES]:
        name, found = markdown(entry.name, LONG), entry.about.intervention
        intervention = f", edited with {markdown(found.name, LONG)}" if found else ""
        alt = f"Accuracy of {name} in each cell, and change of accuracy against drift for each condition"
        lines.append(
            f"**{name}** ({markdown(backend_words(entry), LONG)}){intervention}:\n\n![{alt}](figures/{entry.id}.png)\n"
        )
    return lines


def _entry(entry: Entry) -> str:
    """An id is of letters, digits, dots and hyphens, so that it is a link as it is."""
    found, n = entry.about, len(entry.conditions)
    return (
        f"- {markdown(entry.name, LONG)}: a {found.source} of {markdown(found.day, LONG)}, "
        f"{counted(n, 'condition')}. [Entry](entries/{entry.id}/), "
        f"[card](cards/{entry.id}.md), figure ([SVG](figures/{entry.id}.svg), [PNG](figures/{entry.id}.png))."
    )
