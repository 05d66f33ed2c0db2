"""Tables and paragraphs in GitHub's Markdown."""

from collections.abc import Iterable

from vsc_eval.tables.clean import CONDITION, code, code_fence, markdown
from vsc_eval.tables.table import Column, Table


def to_markdown(table: Table, *, heading: str | None = "##") -> str:
    """The headline rows under the title, the notes below; long names are cut. The title is bold without a heading.

    Ends with a newline.
    """
    title = markdown(table.title)
    head = " | ".join(markdown(column.full_head, CONDITION) for column in table.columns)
    rule = " | ".join("---:" if column.is_right else ":---" for column in table.columns)
    body = ["| " + " | ".join(map(_text, table.texts(row), table.columns)) + " |" for row in table.headlines]
    notes = [f"<sub>{markdown(note)}</sub>\n" for note in table.all_notes]
    first = f"{heading} {title}\n" if heading else f"**{title}**\n"
    return "\n".join([first, f"| {head} |", f"| {rule} |", *body, "", *notes])


def _text(text: str, column: Column) -> str:
    if column.unit == "name":
        return code(text)
    # A figure's brackets are no link, and without backslashes the file can be read as it is.
    return text.replace("<", "&lt;") if column.is_number else markdown(text, column.limit)


def paragraphs(parts: Iterable[str | Table | None]) -> str:
    """Parts with an empty line between them, tables under a bold title; None and empty ones are left out."""
    texts = (to_markdown(part, heading=None).rstrip("\n") if isinstance(part, Table) else part for part in parts)
    return "\n\n".join(text for text in texts if text)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def folded(summary: str, *content: str | Table) -> str:
    """Content that a reader opens. The summary is foreign text."""
    return f"<details>\n<summary>{markdown(summary)}</summary>\n\n{paragraphs(content)}\n\n</details>"


def block(text: str, language: str) -> str:
    """Text of several lines as it is."""
    fence = code_fence(text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def image(path: str, alt: str, caption: str) -> str:
    """A figure by its path, with a text for those who cannot see it and a caption in Markdown."""
    return f"![{markdown(alt)}]({path})\n\n*{caption}*"
