"""A table in GitHub's Markdown."""

from __future__ import annotations

import re

from vsc_eval.leaderboard.tables.plain_text import SHORT, plain
from vsc_eval.leaderboard.tables.table import Column, Table

_NOTE_LENGTH = 2000
_ALIGN = {True: "---:", False: ":---"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&{}^!])")
_BREAK = "&#8203;"
"""A zero-width space. Some renderers look for links, mentions and emoji in the finished text, where escapes are gone."""
_LINKED_LATER = (
    # @name and mail addresses; #1 and GH-1; https://; www.; :emoji:
    (re.compile(r"@(?=\S)"), f"@{_BREAK}"),
    (re.compile(r"#(?=\w)"), rf"\\#{_BREAK}"),
    (re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE), rf"\1{_BREAK}-"),
    (re.compile(r":(?=\\?[/A-Za-z0-9_+\-]+(?:\\_|:)|//|\w*:)"), f":{_BREAK}"),
    (re.compile(r"(www)\.", re.IGNORECASE), rf"\1{_BREAK}."),
)


def to_markdown(table: Table, *, heading: str = "##") -> str:
    """The headline rows under the title, the notes below; long names are cut. Ends with a newline."""
    head = " | ".join(escape(_heading(column)) for column in table.columns)
    rule = " | ".join(_ALIGN[column.is_number] for column in table.columns)
    body = [
        "| " + " | ".join(escape(plain(cell.text, SHORT)) for cell in row.cells) + " |"
        for row in table.rows
        if row.is_headline
    ]
    notes = [f"<sub>{escape(plain(note, _NOTE_LENGTH))}</sub>\n" for note in table.notes]
    title = escape(plain(table.title, _NOTE_LENGTH))
    return "\n".join([f"{heading} {title}\n", f"| {head} |", f"| {rule} |", *body, "", *notes])


def escape(text: str) -> str:
    """Plain text on one line, so that Markdown shows it as it is: no markup, HTML, link, mention or emoji.

    Within a line only: a line that starts with it may still be a list or a heading.
    """
    escaped = _SPECIAL.sub(_escaped, text)
    for pattern, replacement in _LINKED_LATER:
        escaped = pattern.sub(replacement, escaped)
    return escaped


def _escaped(found: re.Match[str]) -> str:
    # HTML's own two as entities: a sanitizer that runs before Markdown knows no backslash.
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}.get(found[1], f"\\{found[1]}")


def _heading(column: Column) -> str:
    """Markdown has no headings over several columns."""
    return f"{column.group}: {column.heading}" if column.group else column.heading
