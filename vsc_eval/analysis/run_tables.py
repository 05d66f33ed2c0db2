"""The tables of a sweep, drawn in the terminal and written to results.md; those of rows are a study's too."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from vsc_eval.analysis.results import Results
from vsc_eval.analysis.rows import Row
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Drift
from vsc_eval.stats.drift import PARTS
from vsc_eval.tables import clean
from vsc_eval.tables.console import draw
from vsc_eval.tables.markdown import to_markdown
from vsc_eval.tables.numbers import UNDEFINED, Unit, percent
from vsc_eval.tables.table import Cell, Column, Table, Value, cell, columns, methods_note, table

_CONDITIONS_SHOWN = 6
"""Conditions that get a column of their own."""

_MANY_INVALID = 0.2
"""Share of unreadable baseline answers from which a note says so."""


def condition_table(results: Results) -> Table:
    """Per condition: accuracy, share of unreadable answers, difference and drift with intervals, drift on and off
    target."""
    reads_text = results.scoring == "generate"
    rows = {row.condition: row for row in results.rows if row.scope == "all"}
    whole = rows[BASELINE]
    methods = methods_note(row.drift.share.method for row in rows.values() if row.drift)
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
            f"n = {whole.n}. {f'{methods} ' if methods else ''}diff: percentage points against the baseline, paired. "
            "drift: share of answers that changed; on / off: on the tasks of the edited sets / on all others.",
            f"{percent(whole.invalid_rate)}% of the baseline's answers name no option: accuracy and drift say little "
            "here. See lm_eval/baseline for the texts; --scoring loglikelihood needs none."
            if whole.invalid_rate >= _MANY_INVALID
            else None,
            null_note(rows),
            *(note for report in results.data for note in report.notes()),
        ],
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
    edited = {row.condition: row for row in results.rows if row.scope == "all" and row.condition != BASELINE}
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


def _drift_share(row: Row | None) -> Cell | None:
    return None if row is None or row.drift is None else cell(row.drift.share.value, suffix=f" ({row.n})")


Rows = Mapping[str, Any]
"""What a row is called -> a row of figures on all items."""

PART_HEADS: tuple[tuple[str, Unit], ...] = tuple((head, "count") for head in ("R→W", "W→R", "W→W'", "→inv", "inv→"))
PARTS_NOTE = "R right, W wrong, W' another wrong answer, inv invalid."
_READING_HEADS = {
    "mean_kl_options": "KL options",
    "mean_kl_vocab": "KL vocab",
    "mean_margin_change": "gold margin",
    "mean_shift_edited": "shift edited",
    "mean_shift_last": "shift last",
    "amplification": "amplification",
}


def part_counts(drift: Drift) -> list[int]:
    """The parts of a drift in items, under `PART_HEADS`."""
    return [getattr(drift, part) for part in PARTS]


def parts_table(rows: Rows, title: str, note: str, *, above_floor: bool = False) -> Table:
    """The parts of each drift in items, and McNemar's test; rows without a drift are left out."""
    shown = {name: row for name, row in rows.items() if row.drift is not None and row.mcnemar is not None}
    return table(
        "parts",
        title,
        columns(
            ("condition", "name"),
            ("changed", "count"),
            *((("above floor %", "percent"),) if above_floor else ()),
            *PART_HEADS,
            ("McNemar p", "p"),
        ),
        [
            (
                name,
                row.drift.n_changed,
                *((row.drift_above_noise_floor,) if above_floor else ()),
                *part_counts(row.drift),
                cell(row.mcnemar.p_value, missing=row.mcnemar.reason or ""),
            )
            for name, row in shown.items()
        ],
        [f"{PARTS_NOTE} McNemar: exact, two-sided, items taken as independent, {note}"],
    )


def readings_table(rows: Rows, title: str) -> Table:
    """What happened to distributions and activations, means over items."""
    values = [[getattr(row, reading) for reading in _READING_HEADS] for row in rows.values()]
    return table(
        "readings",
        title,
        columns(("condition", "name"), *((head, "decimal") for head in _READING_HEADS.values())),
        [(name, *found) for name, found in zip(rows, values, strict=True)],
        [
            "KL(baseline || condition) in nats at the first answer token; gold margin: change of the right option's "
            "log-probability less the largest other, nats; shift: ||h' - h|| / ||h|| at the edited and at the last "
            "layer; amplification: last over edited. No intervals: these describe, they do not test.",
            f"{UNDEFINED}: no item has this figure, or the edited shift is zero."
            if any(None in found for found in values)
            else None,
        ],
    )


def cells_table(
    find: Callable[..., Any | None],
    tasks: Sequence[str],
    levels: Sequence[str],
    title: str,
    notes: Iterable[str] = (),
    *,
    intervals: bool = False,
) -> Table:
    """Accuracy of one condition, tasks down and levels across; `find` is a function of (scope, task, level).

    `intervals`: the margins of tasks have them.
    """

    def accuracy(scope: str, task: str | None, level: str | None, *, whole: bool = False) -> Value:
        row = find(scope, task, level)
        return None if row is None else row.accuracy if whole else row.accuracy.value

    def margin(scope: str, task: str | None = None) -> Value:
        return accuracy(scope, task, None, whole=intervals)

    return table(
        "cells",
        title,
        (
            Column("task", "task", "name"),
            *(Column(level, level, "percent") for level in levels),
            Column("all", "all", "percent"),
        ),
        [
            *((task, *(accuracy("cell", task, level) for level in levels), margin("task", task)) for task in tasks),
            ("all", *(accuracy("level", None, level) for level in levels), margin("all")),
        ],
        notes,
    )


def null_note(rows: Rows) -> str | None:
    """What intervals around zero can and cannot say."""
    found = [
        f"{name} {100 * row.detectable_difference:.1f}"
        for name, row in rows.items()
        if row.difference is not None and row.detectable_difference is not None and row.difference.holds_zero
    ]
    return f"No difference shown; power 0.8 to find one of at least (points): {', '.join(found)}." if found else None
