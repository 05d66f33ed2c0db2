"""Tables of rows of figures that runs and studies both show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vsc_eval.tables.numbers import UNDEFINED, Unit
from vsc_eval.tables.table import Cell, Column, Table, Value, cell, columns, table

Rows = Mapping[str, Any]
"""What a row is called -> a row of figures on all items."""

_PARTS = ("right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid")
PART_HEADS: tuple[tuple[str, Unit], ...] = tuple((head, "count") for head in ("R→W", "W→R", "W→W'", "→inv", "inv→"))
PARTS_NOTE = "R right, W wrong, W' another wrong answer, inv invalid."
_READINGS = (
    *("mean_kl_options", "mean_kl_vocab", "mean_margin_change", "mean_shift_edited", "mean_shift_last"),
    "amplification",
)
_READING_HEADS = ("KL options", "KL vocab", "gold margin", "shift edited", "shift last", "amplification")


def part_counts(drift: Any) -> list[int]:
    """The parts of a drift in items, under `PART_HEADS`."""
    return [getattr(drift, part) for part in _PARTS]


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
    values = [[getattr(row, reading) for reading in _READINGS] for row in rows.values()]
    return table(
        "readings",
        title,
        columns(("condition", "name"), *((head, "decimal") for head in _READING_HEADS)),
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

    def accuracy(scope: str, task: str | None = None, level: str | None = None) -> Value:
        row = find(scope, task, level)
        return None if row is None else row.accuracy.value

    def margin(scope: str, task: str | None = None) -> Value | Cell:
        row = find(scope, task, None)
        return row.accuracy if row is not None and intervals else accuracy(scope, task)

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
    if not found:
        return None
    return f"No difference shown; power 0.8 to find one of at least (points): {', '.join(found)}."
