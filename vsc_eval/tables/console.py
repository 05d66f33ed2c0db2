"""Tables in a terminal, drawn by rich."""

import re

from rich import box
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from vsc_eval.tables.clean import CONDITION, TEXT, name, plain
from vsc_eval.tables.numbers import MINUS
from vsc_eval.tables.table import Table

LOG_COLUMNS = 160
"""rich takes 80 columns for a pipe or a log file, where nothing is gained by folding."""


def console_for(*, stderr: bool = False) -> Console:
    """A console that does not fold tables in a pipe or a log file."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=LOG_COLUMNS)


def draw(table: Table, console: Console, *, everything: bool = True) -> None:
    """One table with its notes below it; of the rows that print leaves out only if `everything` is shown."""
    drawn = Drawn(
        title=Text(plain(table.title)), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in table.columns:
        drawn.add_column(
            Text(plain(column.full_head, CONDITION)), justify="right" if column.is_right else "left", overflow="fold"
        )
    for row in table.rows if everything else table.headlines:
        cells = zip(table.texts(row), table.columns, strict=True)
        drawn.add_row(*(Text(_typed(text) if column.is_number else name(text, TEXT)) for text, column in cells))
    console.print(drawn)
    for note in table.all_notes:
        say(note, console, style="dim")
    console.print()


def say(words: str, console: Console, *, style: str | None = None) -> None:
    """A line of words as they are: no markup, no escape sequence."""
    console.print(Text(_typed(plain(words, TEXT)), style=style or ""))


def _typed(text: str) -> str:
    """Numbers with the hyphen that people type and search for, which every terminal has."""
    return re.sub(f"{MINUS}(?=\\d)", "-", text)
