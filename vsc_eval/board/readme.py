"""README.md of a board: what a visitor of the repository sees first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsc_eval.board.board import backend_words, moment
from vsc_eval.tables.clean import LONG, TEXT, markdown
from vsc_eval.tables.formats import to_markdown
from vsc_eval.tables.numbers import counted

if TYPE_CHECKING:
    from vsc_eval.board.board import Board
    from vsc_eval.board.records import Entry
    from vsc_eval.board.tables import BoardTables

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
