"""A table as text: GitHub's Markdown, HTML, CSV and LaTeX; and paragraphs in Markdown."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

from vsc_eval.records import Record
from vsc_eval.tables import clean
from vsc_eval.tables.numbers import MINUS, UNDEFINED
from vsc_eval.tables.table import Cell, Column, Data, Plain, Table, TableRow, column_groups

_MOST_CHARACTERS = 118
"""Of a row in \\footnotesize, with two for each gap: wider tables are split."""


def to_markdown(table: Table, *, heading: str | None = "##") -> str:
    """The headline rows under the title, the notes below; long names are cut. The title is bold without a heading.

    Ends with a newline.
    """
    title = clean.markdown(table.title)
    head = " | ".join(clean.markdown(column.full_head, clean.CONDITION) for column in table.columns)
    rule = " | ".join("---:" if column.is_right else ":---" for column in table.columns)
    body = ["| " + " | ".join(map(_markdown_cell, table.texts(row), table.columns)) + " |" for row in table.headlines]
    notes = [f"<sub>{clean.markdown(note)}</sub>\n" for note in table.all_notes]
    first = f"{heading} {title}\n" if heading else f"**{title}**\n"
    return "\n".join([first, f"| {head} |", f"| {rule} |", *body, "", *notes])


def _markdown_cell(text: str, column: Column) -> str:
    if column.unit == "name":
        return clean.code(text)
    # A figure's brackets are no link, and without backslashes the file can be read as it is.
    return text.replace("<", "&lt;") if column.is_number else clean.markdown(text, column.limit)


def paragraphs(parts: Iterable[str | Table | None]) -> str:
    """Parts with an empty line between them, tables under a bold title; None and empty ones are left out."""
    texts = (to_markdown(part, heading=None).rstrip("\n") if isinstance(part, Table) else part for part in parts)
    return "\n\n".join(text for text in texts if text)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def folded(summary: str, *content: str | Table) -> str:
    """Content that a reader opens. The summary is foreign text."""
    return f"<details>\n<summary>{clean.markdown(summary)}</summary>\n\n{paragraphs(content)}\n\n</details>"


def block(text: str, language: str) -> str:
    """Text of several lines as it is."""
    fence = clean.code_fence(text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def image(path: str, alt: str, caption: str) -> str:
    """A figure by its path, with a text for those who cannot see it and a caption in Markdown."""
    return f"![{clean.markdown(alt)}]({path})\n\n*{caption}*"


def to_html(table: Table) -> str:
    """All rows; tooltips say what columns are and why figures are missing, notes stand below."""
    groups = [
        f'<th colspan="{n}">{clean.html(group) if group else ""}</th>' for group, n in column_groups(table.columns)
    ]
    heads = [f"<th{_look(column, column.note)}>{clean.html(column.head)}</th>" for column in table.columns]
    body = [list(map(_html_cell, table.texts(row), row.cells, table.columns)) for row in table.rows]
    lines = [
        *("<table>", f"<caption>{clean.html(table.title)}</caption>", "<thead>"),
        *(f"<tr>{''.join(cells)}</tr>" for cells in (groups, heads) if cells),
        *("</thead>", "<tbody>"),
        *(f"<tr>{''.join(cells)}</tr>" for cells in body),
        *("</tbody>", "</table>"),
        *(f"<p><small>{clean.html(note)}</small></p>" for note in table.all_notes),
    ]
    return "\n".join(lines) + "\n"


def _html_cell(text: str, cell: Cell, column: Column) -> str:
    words = clean.html(text)
    return f"<td{_look(column, cell.about)}>{f'<code>{words}</code>' if column.unit == 'name' else words}</td>"


def _look(column: Column, tooltip: str) -> str:
    side = ' style="text-align: right"' if column.is_right else ' style="text-align: left"'
    return f'{side} title="{clean.html(tooltip)}"' if tooltip else side


def to_csv(data: Data | Table, limit: int = clean.LONG) -> str:
    """UTF-8 text with CRLF line ends, to be written as it is. Numbers are as Python repeats them, texts cut to `limit`
    characters; None is empty."""
    data = figures(data) if isinstance(data, Table) else data
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    for row in (data.columns, *data.rows):
        writer.writerow([clean.csv(value, limit) if isinstance(value, str) else value for value in row])
    return file.getvalue()


def figures(table: Table) -> Data:
    """All rows of a table in full precision: of a column with intervals its value, low and high."""
    heads, rows = list[str](), [list[Plain]() for _ in table.rows]
    for i, column in enumerate(table.columns):
        has_interval = any(row.cells[i].low is not None for row in table.rows)
        heads += [column.key, *([f"{column.key}_low", f"{column.key}_high"] if has_interval else [])]
        for values, row in zip(rows, table.rows, strict=True):
            cell = row.cells[i]
            values += [cell.value, *([cell.low, cell.high] if has_interval else [])]
    return Data(tuple(heads), tuple(map(tuple, rows)))


def record_data(records: Iterable[Record]) -> Data:
    """A row a record. The parts of a field are columns of their own, `drift_share_low`, and so are a list's numbers,
    `draws_1`; its words are joined by `+`. A column in which nothing is defined is left out."""
    rows = [dict(_flat(record.model_dump(mode="json"))) for record in records]
    # Of the fullest row, so that neighbours stay neighbours.
    heads = tuple(dict.fromkeys(chain(*sorted(rows, key=len)[-1:], *rows)))
    return Data(heads, tuple(tuple(row.get(head) for head in heads) for row in rows))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Plain]]:
    if isinstance(value, list):
        is_words = bool(value) and isinstance(value[0], str)
        value = "+".join(value) if is_words else dict(enumerate(value, start=1))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{name}_{key}" if name else key)
    elif value is not None:
        yield name, value


def to_latex(table: Table) -> str:
    """The headline rows as one longtable, or several where it is too wide. Ends with a newline."""
    rows, text = table.headlines, list[str]()
    parts = _parts(table, rows)
    for number, part in enumerate(parts, start=1):
        text += _longtable(table, rows, part, f", part {number} of {len(parts)}" if len(parts) > 1 else "")
    notes = [f"\\par\\noindent{{\\footnotesize {clean.latex(note)}\\par}}" for note in table.all_notes]
    return "\n".join([*text, *notes]) + "\n"


def _parts(table: Table, rows: Sequence[TableRow]) -> list[list[int]]:
    """Columns of each part: those that say what a row is about in all of them, the others shared out."""
    hidden = table.index(table.section) if table.section else None
    texts = [[min(c.limit, len(text)) for text, c in zip(table.texts(r), table.columns, strict=True)] for r in rows]
    heads = [len(column.head) for column in table.columns]
    widths = [2 + max(sizes) for sizes in zip(heads, *texts, strict=True)]
    first_figure = next((i for i, c in enumerate(table.columns) if c.is_number and c.unit != "place"), len(widths))
    names = [i for i in range(first_figure) if i != hidden]
    room = _MOST_CHARACTERS - sum(widths[i] for i in names)
    figures = range(first_figure, len(widths))
    # Neighbours under one heading; other columns each by itself.
    grouped = groupby((i for i in figures if i != hidden), key=lambda i: table.columns[i].group or i)
    blocks = [list(block) for _, block in grouped]
    parts = _packed(blocks, widths, room)
    # As many parts as needed, and about as wide as each other.
    narrowest = sum(widths[i] for i in figures) // max(1, len(parts))
    balanced = (_packed(blocks, widths, least) for least in range(min(narrowest, room), room + 1))
    return [[*names, *part] for part in next((found for found in balanced if len(found) == len(parts)), parts)]


def _packed(blocks: Sequence[list[int]], widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns put into parts of at most `room`, in order; a block that is wider than that is taken apart."""
    parts: list[list[int]] = [[]]
    for block in blocks:
        fits = sum(widths[i] for i in block) <= room
        for chunk in [block] if fits else [[i] for i in block]:
            if parts[-1] and sum(widths[i] for i in (*parts[-1], *chunk)) > room:
                parts.append([])
            parts[-1] += chunk
    return parts


def _longtable(table: Table, rows: Sequence[TableRow], columns: Sequence[int], which: str) -> Iterator[str]:
    """Some columns; `which` part of the table they are."""
    shown = [table.columns[i] for i in columns]
    yield r"{\footnotesize\setlength{\tabcolsep}{3pt}"
    yield rf"\begin{{longtable}}{{@{{}}{''.join('r' if c.is_right else 'l' for c in shown)}@{{}}}}"
    yield rf"\caption{{{clean.latex(table.title)}{which}}}\\"
    yield r"\toprule"
    heads, rules, place = [], [], 1
    for group, n in column_groups(shown):
        heads.append(rf"\multicolumn{{{n}}}{{c}}{{{clean.latex(group) if group else ''}}}")
        rules += [rf"\cmidrule(lr){{{place}-{place + n - 1}}}"] if group else []
        place += n
    if heads:
        yield " & ".join(heads) + r" \\"
        yield "".join(rules)
    yield " & ".join(clean.latex(column.head, clean.CONDITION) for column in shown) + r" \\"
    yield from (r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot")
    section = None if table.section is None else table.index(table.section)
    current: str | None = None
    for row in rows:
        cells = list(map(_latex_cell, table.texts(row), table.columns))
        if section is not None and cells[section] != current:
            if current is not None:
                yield r"\addlinespace"
            current = cells[section]
            # \\* keeps the heading on the page of its first row.
            yield rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textbf{{{current}}}}} \\*"
        yield " & ".join(cells[i] for i in columns) + r" \\"
    yield r"\end{longtable}}"


def _latex_cell(text: str, column: Column) -> str:
    if column.is_number:
        return text.replace(MINUS, "$-$").replace(UNDEFINED, "--").replace("<", "$<$")
    return clean.latex(text, column.limit)
