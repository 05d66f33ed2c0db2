"""The intervention board: what every condition did to accuracy and to answers."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.board.records import BoardCondition, BoardRow, BoardScope, Entry, FloorFigure
from vsc_eval.board.tables.cells import (
    count_cell,
    methods_note,
    missing_cell,
    p_cell,
    percent_cell,
    points_cell,
    reason_notes,
    text_cell,
)
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.plain_text import CONDITION as CONDITION_LENGTH
from vsc_eval.board.tables.plain_text import plain
from vsc_eval.board.tables.table import MODEL, N_ITEMS, Cell, Column, Row, Table
from vsc_eval.stats import holm
from vsc_eval.stats.drift import PARTS

CONDITION = Column("condition", "condition", "text", about="Feature sets and edit", limit=CONDITION_LENGTH)

_PARTS = {
    "right_to_wrong": "right→wrong",
    "wrong_to_right": "wrong→right",
    "wrong_to_other": "wrong→other",
    "to_invalid": "→invalid",
    "from_invalid": "invalid→",
}
assert tuple(_PARTS) == PARTS

NO_P = "no item is right under one of the two only"
NO_TARGETS = "its sets name no task"
NO_FLOOR = "no noise floor was measured"
NO_CONDITION = "not asked"


def worst_floor(entry: Entry) -> FloorFigure | None:
    """The null condition that changed most answers."""
    known = [floor for floor in entry.floor if floor.drift.value is not None]
    return max(known, key=lambda floor: floor.drift.value or 0.0) if known else None


def adjusted_p(view: BoardView, entry: Entry) -> dict[str, float | None]:
    """Condition -> p of its difference on all items, by Holm over all conditions of the entry."""
    names = [condition.name for condition in entry.edits]
    rows = [view.row(entry, name, "all") for name in names]
    return dict(zip(names, holm([row.p_difference if row else None for row in rows]), strict=True))


def effects_table(view: BoardView) -> Table | None:
    """`effects`; None where all entries are of baselines alone."""
    rows = []
    for entry in view.edited():
        adjusted, floor = adjusted_p(view, entry), worst_floor(entry)
        for condition in entry.edits:
            row = view.row(entry, condition.name, "all")
            if row is not None:
                rows.append(_effect(view, entry, condition, row, adjusted[condition.name], floor))
    if not rows:
        return None
    return Table(
        key="effects",
        title="Interventions",
        columns=(
            MODEL,
            CONDITION,
            N_ITEMS,
            Column("difference", "difference", "points", "accuracy", "Against the baseline, percentage points"),
            Column("p", "p, unadjusted", "p", "accuracy"),
            Column("p_holm", "p, Holm", "p", "accuracy", "Adjusted over all conditions of the entry"),
            Column("drift", "all", "percent", "drift", "Share of answers that changed"),
            Column("on_target", "on target", "percent", "drift", "On the tasks that the sets were selected for"),
            Column("off_target", "off target", "percent", "drift", "On all other tasks"),
            Column("floor", "floor", "percent", "drift", "Largest drift where nothing was done"),
        ),
        rows=tuple(rows),
        notes=(*_effect_notes(view), *reason_notes(rows)),
        section="model",
    )


def _effect(
    view: BoardView,
    entry: Entry,
    condition: BoardCondition,
    row: BoardRow,
    p_adjusted: float | None,
    floor: FloorFigure | None,
) -> Row:
    floor_about = f"{plain(floor.name, 60)}: {floor.n_changed} answers" if floor else ""
    return Row(
        (
            text_cell(view.labels[entry.id]),
            text_cell(condition.name),
            count_cell(row.n),
            points_cell(row.difference, NO_CONDITION),
            p_cell(row.p_difference, NO_P),
            p_cell(p_adjusted, NO_P),
            percent_cell(row.drift, NO_CONDITION),
            _on_or_off(view, entry, condition, "on_target"),
            _on_or_off(view, entry, condition, "off_target"),
            percent_cell(floor.drift if floor else None, NO_FLOOR, floor_about),
        ),
        (entry.id,),
        condition.is_headline,
        condition.name,
    )


def _on_or_off(view: BoardView, entry: Entry, condition: BoardCondition, scope: BoardScope) -> Cell:
    row = view.row(entry, condition.name, scope)
    if row is None:
        return missing_cell(NO_TARGETS if condition.targets is None else "no such items")
    return percent_cell(row.drift, NO_CONDITION, f"n = {row.n} in {row.n_clusters} clusters")


def _effect_notes(view: BoardView) -> Sequence[str]:
    sources = {entry.provenance.source for entry in view.edited()}
    tests = {
        "run": "exact McNemar, items taken as independent (runs)",
        "study": "sign-flip of whole clusters (studies)",
    }
    firsts = (view.row(entry, condition.name, "all") for entry in view.edited() for condition in entry.edits[:1])
    hidden = sum(not c.is_headline for entry in view.edited() for c in entry.edits)
    return (
        "difference: accuracy less the baseline's, paired, in percentage points [interval]; p of it by "
        f"{' or '.join(tests[source] for source in sorted(sources))}, two-sided, unadjusted and by Holm over all "
        "conditions of the entry. drift: share of answers that differ from the baseline's, in percent [interval]; "
        "on target: on the tasks that the sets were selected for; floor: the largest drift where nothing was done.",
        methods_note(row for row in firsts if row is not None),
        *(
            [
                "Printed tables have the headline conditions only; the page and interventions.csv have all "
                f"({hidden} more)."
            ]
            if hidden
            else []
        ),
    )


def parts_table(view: BoardView) -> Table | None:
    """`parts`: in items; None where all entries are of baselines alone."""
    rows = []
    for entry in view.edited():
        for condition in entry.edits:
            row = view.row(entry, condition.name, "all")
            if row is None or row.drift_counts is None:
                continue
            counts = row.drift_counts
            rows.append(
                Row(
                    (
                        text_cell(view.labels[entry.id]),
                        text_cell(condition.name),
                        count_cell(row.n),
                        count_cell(counts.n_changed),
                        *(count_cell(getattr(counts, part)) for part in PARTS),
                    ),
                    (entry.id,),
                    condition.is_headline,
                    condition.name,
                )
            )
    if not rows:
        return None
    return Table(
        key="parts",
        title="Parts of the drift",
        columns=(
            MODEL,
            CONDITION,
            N_ITEMS,
            Column("n_changed", "changed", "count", about="Answers that differ from the baseline's"),
            *(Column(part, heading, "count") for part, heading in _PARTS.items()),
        ),
        rows=tuple(rows),
        notes=(
            "Items whose answer changed, and in which direction; the five parts exclude each other and add up to "
            "the changed ones. other: another wrong answer. invalid: an answer that names no option.",
        ),
        section="model",
    )
