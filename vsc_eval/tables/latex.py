"""A table in LaTeX for pdfLaTeX, with booktabs and longtable; plain ASCII."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from vsc_eval.tables.clean import CONDITION, latex
from vsc_eval.tables.numbers import MINUS, UNDEFINED
from vsc_eval.tables.table import Column, Table, TableRow, column_groups

_MOST_CHARACTERS = 118
"""Of a row in \\footnotesize, with two for each gap: wider tables are split."""


def to_latex(table: Table) -> str:
    """The headline rows as one longtable, or several where it is too wide. Ends with a newline."""
    rows, text = table.headlines, list[str]()
    parts = _parts(table, rows)
    for number, part in enumerate(parts, start=1):
        text += _longtable(table, rows, part, f", part {number} of {len(parts)}" if len(parts) > 1 else "")
    notes = [f"\\par\\noindent{{\\footnotesize {latex(note)}\\par}}" for note in table.all_notes]
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
    yield rf"\caption{{{latex(table.title)}{which}}}\\"
    yield r"\toprule"
    heads, rules, place = [], [], 1
    for group, n in column_groups(shown):
        heads.append(rf"\multicolumn{{{n}}}{{c}}{{{latex(group) if group else ''}}}")
        rules += [rf"\cmidrule(lr){{{place}-{place + n - 1}}}"] if group else []
        place += n
    if heads:
        yield " & ".join(heads) + r" \\"
        yield "".join(rules)
    yield " & ".join(latex(column.head, CONDITION) for column in shown) + r" \\"
    yield from (r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot")
    section = None if table.section is None else table.index(table.section)
    current: str | None = None
    for row in rows:
        cells = list(map(_cell, table.texts(row), table.columns))
        if section is not None and cells[section] != current:
            if current is not None:
                yield r"\addlinespace"
            current = cells[section]
            # \\* keeps the heading on the page of its first row.
            yield rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textbf{{{current}}}}} \\*"
        yield " & ".join(cells[i] for i in columns) + r" \\"
    yield r"\end{longtable}}"


def _cell(text: str, column: Column) -> str:
    if column.is_number:
        return text.replace(MINUS, "$-$").replace(UNDEFINED, "--").replace("<", "$<$")
    return latex(text, column.limit)
