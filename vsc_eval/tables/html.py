"""A table in HTML, without script or style of its own: for notebooks and pages."""

from collections.abc import Iterator

from vsc_eval.tables.clean import html
from vsc_eval.tables.table import Cell, Column, Table, column_groups


def to_html(table: Table) -> str:
    """All rows; tooltips say what columns are and why figures are missing, notes stand below."""
    return "\n".join(_lines(table)) + "\n"


def _lines(table: Table) -> Iterator[str]:
    yield "<table>"
    yield f"<caption>{html(table.title)}</caption>"
    yield "<thead>"
    if groups := column_groups(table.columns):
        heads = [f'<th colspan="{n}">{html(group) if group else ""}</th>' for group, n in groups]
        yield f"<tr>{''.join(heads)}</tr>"
    heads = [f"<th{_look(column, column.note)}>{html(column.head)}</th>" for column in table.columns]
    yield f"<tr>{''.join(heads)}</tr>"
    yield "</thead>"
    yield "<tbody>"
    for row in table.rows:
        cells = zip(table.texts(row), row.cells, table.columns, strict=True)
        yield f"<tr>{''.join(_cell(text, cell, column) for text, cell, column in cells)}</tr>"
    yield "</tbody>"
    yield "</table>"
    yield from (f"<p><small>{html(note)}</small></p>" for note in table.all_notes)


def _cell(text: str, cell: Cell, column: Column) -> str:
    words = html(text)
    return f"<td{_look(column, cell.about)}>{f'<code>{words}</code>' if column.unit == 'name' else words}</td>"


def _look(column: Column, tooltip: str) -> str:
    side = ' style="text-align: right"' if column.is_right else ' style="text-align: left"'
    return f'{side} title="{html(tooltip)}"' if tooltip else side
