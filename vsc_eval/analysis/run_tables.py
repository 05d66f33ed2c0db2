"""The tables of a sweep, drawn in the terminal and written to results.md."""

from __future__ import annotations

from rich.console import Console

from vsc_eval.analysis.results import Results
from vsc_eval.analysis.row_tables import cells_table, null_note, parts_table, readings_table
from vsc_eval.analysis.rows import Row
from vsc_eval.specs import BASELINE
from vsc_eval.tables import clean
from vsc_eval.tables.console import draw
from vsc_eval.tables.markdown import to_markdown
from vsc_eval.tables.numbers import percent
from vsc_eval.tables.table import Cell, Table, cell, columns, methods_note, table

_CONDITIONS_SHOWN = 6
"""Conditions that get a column of their own."""

_MANY_INVALID = 0.2
"""Share of unreadable baseline answers from which a note says so."""


def condition_table(results: Results) -> Table:
    """Per condition: accuracy, share of unreadable answers, difference and drift with intervals, drift on and off
    target."""
    reads_text = results.scoring == "generate"
    rows = {condition.name: _whole(results, condition.name) for condition in results.conditions}
    whole = rows[BASELINE]
    return table(
        "conditions",
        f"{results.model}: {whole.n} items in {whole.n_clusters} clusters, scoring {results.scoring}",
        columns(
            ("condition", "name"),
            ("acc %", "percent"),
            *((("inv %", "percent"),) if reads_text else ()),
            ("diff [95% CI]", "points"),
            ("drift % [95% CI]", "percent"),
            ("on % (n)", "percent"),
            ("off % (n)", "percent"),
        ),
        [
            (
                name,
                row.accuracy.value,
                *((row.invalid_rate,) if reads_text else ()),
                row.difference,
                row.drift.share if row.drift else None,
                _drift_share(results.find(name, "on_target")),
                _drift_share(results.find(name, "off_target")),
            )
            for name, row in rows.items()
        ],
        [
            " ".join(
                filter(
                    None,
                    (
                        f"n = {whole.n}.",
                        methods_note(row.drift.share.method for row in rows.values() if row.drift),
                        "diff: percentage points against the baseline, paired. drift: share of answers that changed; "
                        "on / off: on the tasks of the edited sets / on all others.",
                    ),
                )
            ),
            _invalid_note(whole),
            null_note(rows),
            *(note for report in results.data for note in report.notes()),
        ],
    )


def _invalid_note(baseline: Row) -> str | None:
    if baseline.invalid_rate < _MANY_INVALID:
        return None
    return (
        f"{percent(baseline.invalid_rate)}% of the baseline's answers name no option: accuracy and drift say little "
        "here. See lm_eval/baseline for the texts; --scoring loglikelihood needs none."
    )


def interaction_table(results: Results) -> Table:
    """Combined edits against their parts."""
    return table(
        "interactions",
        "Combined edits of two sets: what they do beyond their parts (percentage points)",
        columns(
            ("union", "name"),
            ("drift − parts", "points"),
            ("drift − Bliss", "points"),
            ("diff − parts", "points"),
        ),
        [
            (row.condition, row.drift_interaction, row.drift_bliss, row.accuracy_interaction)
            for row in results.interactions
        ],
        [
            methods_note(row.drift.method for row in results.interactions),
            "Parts: their sum; of a norm-matched union the mean, or the extreme, as its norm was matched.",
        ],
    )


def cell_table(results: Results, condition: str = BASELINE) -> Table:
    """Accuracy of one condition, tasks down and levels across."""
    rows = [row for row in results.rows if row.condition == condition]
    sizes = {row.n for row in rows if row.scope == "cell"}
    size = f", n = {sizes.pop()} a cell" if len(sizes) == 1 else ""
    return cells_table(
        lambda scope, task, level: results.find(condition, scope, task, level),
        [str(row.task) for row in rows if row.scope == "task"],
        [str(row.level) for row in rows if row.scope == "level"],
        f"Accuracy % of {condition}{size}",
    )


def category_table(results: Results) -> Table:
    """Accuracy of each condition on the categories and groups of external data sets."""
    names = [condition.name for condition in results.conditions][:_CONDITIONS_SHOWN]
    parts = [row for row in results.rows if row.condition == BASELINE and row.scope in ("category", "group")]
    cells = {(r.condition, r.scope, r.task, r.by, r.category): r.accuracy.value for r in results.rows}
    rows = []
    for row in parts:
        part = f"{row.by}={row.category}" if row.scope == "category" else "whole groups"
        place = (row.scope, row.task, row.by, row.category)
        rows.append((f"{row.task} {part}", row.n, *(cells[condition, *place] for condition in names)))
    return table(
        "categories",
        "Accuracy % by category and group",
        columns(("part", "name"), ("n", "count"), *((name, "percent") for name in names)),
        rows,
        [_left_note(results, names)],
    )


def official_table(results: Results) -> Table:
    """The official figures of external data sets by condition."""
    names = [condition.name for condition in results.conditions][:_CONDITIONS_SHOWN]
    cells = {(row.condition, row.task, row.figure): row.value for row in results.official}
    return table(
        "official",
        "Official metrics, % [95% CI]",
        columns("figure", ("n", "text"), *((name, "percent") for name in names)),
        [
            (
                f"{row.task} {row.figure}{' *' if row.is_main else ''}",
                f"{row.value.n_items} {row.unit}",
                *(cells.get((name, row.task, row.figure)) for name in names),
            )
            for row in results.official
            if row.condition == BASELINE
        ],
        [
            "*: the figure that the data set is known by. Differences from the baseline are in results.json.",
            _left_note(results, names),
        ],
    )


def _left_note(results: Results, shown: list[str]) -> str | None:
    left = len(results.conditions) - len(shown)
    return f"{left} more conditions are in results.json." if left else None


def all_tables(results: Results) -> list[Table]:
    """Every table that has rows, in the order they are shown."""
    edited = {
        condition.name: row
        for condition in results.conditions
        if not condition.is_baseline and (row := results.find(condition.name, "all"))
    }
    tables = (
        condition_table(results),
        parts_table(edited, "Drift and its parts (items)", "not corrected for the number of conditions."),
        interaction_table(results),
        readings_table(edited, "Distribution and activations (means over items)"),
        cell_table(results),
        category_table(results),
        official_table(results),
    )
    return [found for found in tables if found.rows]


def print_tables(results: Results, console: Console) -> None:
    """Draw all tables in the terminal."""
    for found in all_tables(results):
        draw(found, console)


def markdown(results: Results) -> str:
    """results.md."""
    return "\n".join([f"# {clean.markdown(results.model)}\n", *map(to_markdown, all_tables(results))])


def _whole(results: Results, condition: str) -> Row:
    row = results.find(condition, "all")
    assert row is not None, condition
    return row


def _drift_share(row: Row | None) -> Cell | None:
    return None if row is None or row.drift is None else cell(row.drift.share.value, suffix=f" ({row.n})")
