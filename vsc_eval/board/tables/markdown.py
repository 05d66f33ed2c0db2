"""A table in GitHub's Markdown."""

from __future__ import annotations

import re

from vsc_eval.board.tables.plain_text import plain
from vsc_eval.board.tables.table import Cell, Column, Table

_NOTE_LENGTH = 2000
_HEADING_LENGTH = 60
_ALIGN = {True: "---:", False: ":---"}
_ESCAPES = {
    **{character: f"\\{character}" for character in "\\`*_[]~#"},
    # As entities: a sanitizer, Jekyll's templates and the splitting into cells know no backslash.
    **{character: f"&#{ord(character)};" for character in "<>&{}|"},
    # As GitHub documents it for a dollar sign that opens no formula.
    "$": "<span>$</span>",
    "\N{ZERO WIDTH SPACE}": "&#8203;",
}
_BREAK = "\N{ZERO WIDTH SPACE}"
"""Against what is looked for in the finished text, where escapes are gone: links, mentions, references, emoji."""
_LINKED_LATER = (
    # @name and mail addresses; #1 and GH-1; https://; www.; :emoji:
    (re.compile(r"@"), f"@{_BREAK}"),
    (re.compile(r"#(?=\w)"), f"#{_BREAK}"),
    (re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE), rf"\1{_BREAK}-"),
    (re.compile(r":(?=//|[A-Za-z0-9_+\-]+:)"), f":{_BREAK}"),
    (re.compile(r"(www)\.", re.IGNORECASE), rf"\1{_BREAK}."),
)


def to_markdown(table: Table, *, heading: str = "##") -> str:
    """The headline rows under the title, the notes below; long names are cut. Ends with a newline."""
    head = " | ".join(escape(plain(_heading(column), _HEADING_LENGTH)) for column in table.columns)
    rule = " | ".join(_ALIGN[column.is_number] for column in table.columns)
    body = ["| " + " | ".join(map(_cell, row.cells, table.columns)) + " |" for row in table.rows if row.is_headline]
    notes = [f"<sub>{escape(plain(note, _NOTE_LENGTH))}</sub>\n" for note in table.notes]
    title = escape(plain(table.title, _NOTE_LENGTH))
    return "\n".join([f"{heading} {title}\n", f"| {head} |", f"| {rule} |", *body, "", *notes])


def escape(text: str) -> str:
    """Plain text on one line, so that Markdown shows it as it is: no markup, HTML, link, mention or emoji.

    Within a line only: a line that starts with it may still be a list or a heading.
    """
    for pattern, replacement in _LINKED_LATER:
        text = pattern.sub(replacement, text)
    return "".join(_ESCAPES.get(character, character) for character in text)


def _cell(cell: Cell, column: Column) -> str:
    # A figure's brackets are no link, and without backslashes the file can be read as it is.
    return cell.text.replace("<", "&lt;") if column.is_number else escape(plain(cell.text, column.limit))


def _heading(column: Column) -> str:
    """Markdown has no headings over several columns."""
    return f"{column.group}: {column.heading}" if column.group else column.heading
