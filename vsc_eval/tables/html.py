"""A table in HTML, without script or style of its own: for notebooks and pages."""

from vsc_eval.tables.clean import html
from vsc_eval.tables.table import Cell, Column, Table, column_groups


def to_html(table: Table) -> str:
    """All rows; tooltips say what columns are and why figures are missing, notes stand below."""
    groups = [f'<th colspan="{n}">{html(group) if group else ""}</th>' for group, n in column_groups(table.columns)]
    heads = [f"<th{_look(column, column.note)}>{html(column.head)}</th>" for column in table.columns]
    body = [list(map(_cell, table.texts(row), row.cells, table.columns)) for row in table.rows]
    lines = [
        *("<table>", f"<caption>{html(table.title)}</caption>", "<thead>"),
        *(f"<tr>{''.join(cells)}</tr>" for cells in (groups, heads) if cells),
        *("</thead>", "<tbody>"),
        *(f"<tr>{''.join(cells)}</tr>" for cells in body),
        *("</tbody>", "</table>"),
        *(f"<p><small>{html(note)}</small></p>" for note in table.all_notes),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str, cell: Cell, column: Column) -> str:
    words = html(text)
    return f"<td{_look(column, cell.about)}>{f'<code>{words}</code>' if column.unit == 'name' else words}</td>"


def _look(column: Column, tooltip: str) -> str:
    side = ' style="text-align: right"' if column.is_right else ' style="text-align: left"'
    return f'{side} title="{html(tooltip)}"' if tooltip else side
