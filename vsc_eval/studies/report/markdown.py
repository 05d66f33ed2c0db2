"""Markdown that stays what was meant, whatever names and messages hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vsc_eval.analysis.run_tables import TextTable

_SPECIAL = re.compile(r"[\\`*~$|#]|(?<![^\W_])_|_(?![^\W_])|(?<=\])[(\[]")
_FIGURE = re.compile(r"[-+–]?\d|–")


def escape(text: str) -> str:
    """Words of others as plain text on one line: no markup, links, tables, mathematics or HTML come of it."""
    line = _SPECIAL.sub(r"\\\g<0>", _one_line(text))
    return line.replace("&", "&amp;").replace("<", "&lt;")


def code(text: str) -> str:
    """A name as it is typed. The fence is longer than any run of backticks inside."""
    line = _one_line(text).replace("|", "\\|") or " "
    fence = _fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def block(text: str, language: str) -> str:
    """Text of several lines as it is."""
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def image(path: str, alt: str, caption: str) -> str:
    """A figure by its path from the report, with a text for those who cannot see it and a caption."""
    alt = re.sub(r"[\[\]]", "", escape(alt))
    return f"![{alt}]({path})\n\n*{caption}*"


def table(text: TextTable) -> str:
    """A table under its title, its notes below. Cells and notes are Markdown already; columns of figures keep right."""
    head = " | ".join(text.columns)
    sides = ["---:" if all(map(_FIGURE.match, cells)) else ":---" for cells in zip(*text.rows, strict=True)]
    rule = " | ".join(sides)
    body = [f"| {' | '.join(row)} |" for row in text.rows]
    lines = "\n".join([f"| {head} |", f"| {rule} |", *body])
    return paragraphs([f"**{text.title}**", lines, *(f"<sub>{note}</sub>" for note in text.notes)])


def folded(summary: str, content: str) -> str:
    """Content that a reader opens."""
    return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def paragraphs(parts: Iterable[str | None]) -> str:
    """Parts with an empty line between them; None and empty ones are left out."""
    return "\n\n".join(part for part in parts if part)


def _one_line(text: str) -> str:
    """Without line breaks and other control characters."""
    spaced = " ".join(text.split())
    return "".join(character for character in spaced if character.isprintable())


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(least, longest + 1)
