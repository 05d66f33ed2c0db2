"""Sections 4, 7 and 9: every condition against the baseline, accuracy against drift, and the noise floor."""

from __future__ import annotations

from collections.abc import Iterable

from vsc_eval.analysis.row_tables import parts_table, readings_table
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.words import (
    EDITED,
    Section,
    accuracy_of,
    correction_words,
    drift_of,
    intervals_note,
    set_names,
    sign_flip_words,
    size,
)
from vsc_eval.studies.words import ROLE_WORDS
from vsc_eval.tables.clean import code
from vsc_eval.tables.markdown import folded, image
from vsc_eval.tables.table import Table, Value, columns, table

FRONTIER_FIGURE = "frontier.png"


def sweep(results: StudyResults) -> Section:
    """Every single set and union under every edit, against the baseline."""
    edit = results.spec.verdict.edit
    parts, readings = _details(results, edit)
    return [
        "## 4. The sweep",
        f"All conditions against the baseline, on all items. First under the verdict's edit, {code(edit)}.",
        *_effects_by_role(results, edit),
        folded(f"Parts of the drift under {edit}", parts),
        folded(f"Distributions and activations under {edit}", readings),
        *(
            folded(f"The same under {other}", *_effects_by_role(results, other), *_details(results, other))
            for other in results.spec.sweep.edits
            if other != edit
        ),
    ]


def _effects_by_role(results: StudyResults, edit: str) -> list[Table]:
    return [_effects(results, edit, role) for role in EDITED if results.edited(edit, role)]


def _effects(results: StudyResults, edit: str, role: Role) -> Table:
    rows = results.edited(edit, role)
    on = {row.condition: row for row in results.edited(edit, role, "on_target")}
    off = {row.condition: row for row in results.edited(edit, role, "off_target")}
    figures = [figure for row in rows for figure in (row.difference, row.drift.share if row.drift else None)]
    return table(
        "effects",
        f"{EDITED[role].capitalize()} under {edit} ({size(rows[0])})",
        columns(
            ("sets", "name"),
            ("accuracy %", "percent"),
            ("difference", "points"),
            ("p (adj.)", "p"),
            ("drift %", "percent"),
            *_target_columns("on target", on.values()),
            *_target_columns("off target", off.values()),
        ),
        [
            (
                set_names(row.sets),
                row.accuracy.value,
                row.difference,
                row.p_difference_adjusted,
                row.drift.share if row.drift else None,
                *_target(on.get(row.condition)),
                *_target(off.get(row.condition)),
            )
            for row in rows
        ],
        [
            f"{intervals_note(figures)} p: {sign_flip_words(results)}, {correction_words(results)} over the "
            f"{len(results.conditions) - 1} conditions of the sweep. on target: items of the sets' own tasks; off "
            "target: all others.",
            "–: every task is on target." if len(off) < len(rows) else None,
        ],
    )


def _target_columns(which: str, rows: Iterable[Row]) -> tuple[tuple[str, str, str], ...]:
    sizes = " or ".join(map(str, sorted({row.n for row in rows})))
    group = f"{which} (n = {sizes})" if sizes else which
    return ("diff.", "points", group), ("drift %", "percent", group)


def _target(row: Row | None) -> tuple[Value, Value]:
    if row is None or row.difference is None or row.drift is None:
        return None, None
    return row.difference.value, row.drift.share.value


def _details(results: StudyResults, edit: str) -> tuple[Table, Table]:
    """Parts of the drift, and what happened to distributions and activations."""
    edited = results.edited(edit)
    rows = {set_names(row.sets) + " (norm-matched)" * (row.role == "norm_matched"): row for row in edited}
    parts = parts_table(
        rows,
        f"Drift and its parts under {edit}, in items of {edited[0].n}",
        "not as orbits, and not adjusted; where it and the sign-flip test differ, the latter counts. above floor: "
        "drift less the noise floor (section 9).",
        above_floor=True,
    )
    title = f"Distributions and activations under {edit}, means over {edited[0].n} items"
    return parts, readings_table(rows, title)


def frontier(results: StudyResults) -> Section:
    """Accuracy against drift, every condition a point."""
    roles = {row.role for row in results.conditions}
    shapes = ", ".join(ROLE_WORDS[role] for role in EDITED if role in roles)
    rows = pareto(results)
    return [
        "## 7. Accuracy against drift",
        image(
            f"figures/{FRONTIER_FIGURE}",
            "Scatter of accuracy against drift, one point for each condition, with the baseline and the frontier",
            f"Every condition of the sweep. Colour: edit; shape: {shapes}. Bars: intervals of the conditions that are "
            "named. Line: conditions that no other one beats in both accuracy and drift.",
        ),
        table(
            "frontier",
            f"The frontier ({size(rows[0])})",
            columns(("condition", "name"), ("accuracy %", "percent"), ("drift %", "percent")),
            [(row.condition, row.accuracy, row.drift.share if row.drift else 0) for row in rows],
            [
                f"{intervals_note(row.accuracy for row in rows)} The best of many conditions on these items: a gain "
                "along this line is not evidence of one (section 4 has the tests)."
            ],
        ),
    ]


def pareto(results: StudyResults) -> list[Row]:
    """Conditions that none beats, by rising drift: each is more accurate than all with less drift."""
    found: list[Row] = []
    for row in sorted(results.conditions, key=lambda row: (drift_of(row), -accuracy_of(row))):
        if not found or accuracy_of(row) > accuracy_of(found[-1]):
            found.append(row)
    return found


def floor(results: StudyResults) -> Section:
    """How much answers change where nothing was done."""
    drifts = [row.drift for row in results.floor]
    n = f"n = {drifts[0].n_items} items in {drifts[0].n_clusters} orbits" if drifts else "nothing was measured"
    return [
        "## 9. The noise floor",
        table(
            "floor",
            f"Drift where nothing was done ({n})",
            columns(
                ("condition", "name"),
                ("changed answers", "count"),
                ("drift %", "percent"),
                ("largest change of an option, nats", "significant"),
            ),
            [(row.name, row.n_changed, row.drift, row.max_logprob_difference) for row in results.floor],
            [
                "other batches: a second baseline in batches of another size and order. scale=1: an edit of strength "
                f"zero. The floor is the largest of these drifts. {intervals_note(drifts)}"
            ],
        ),
    ]
