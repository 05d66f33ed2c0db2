"""Sections 4, 7 and 9: every condition against the baseline, accuracy against drift, and the noise floor."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from vsc_eval.analysis.rows import Row
from vsc_eval.analysis.run_tables import parts_table, readings_table
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
from vsc_eval.tables.table import Table, by_columns

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
    differences, drifts = [row.difference for row in rows], [row.drift.share if row.drift else None for row in rows]
    off = results.edited(edit, role, "off_target")
    return by_columns(
        "effects",
        f"{EDITED[role].capitalize()} under {edit} ({size(rows[0])})",
        ("sets", "name", [set_names(row.sets) for row in rows]),
        ("accuracy %", "percent", [row.accuracy.value for row in rows]),
        ("difference", "points", differences),
        ("p (adj.)", "p", [row.p_difference_adjusted for row in rows]),
        ("drift %", "percent", drifts),
        *_target_columns("on target", rows, results.edited(edit, role, "on_target")),
        *_target_columns("off target", rows, off),
        notes=[
            f"{intervals_note(chain(*zip(differences, drifts, strict=True)))} p: {sign_flip_words(results)}, "
            f"{correction_words(results)} over the {len(results.conditions) - 1} conditions of the sweep. on target: "
            "items of the sets' own tasks; off target: all others.",
            "–: every task is on target." if len(off) < len(rows) else None,
        ],
    )


def _target_columns(which: str, rows: Sequence[Row], on_these: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
    """Of the same conditions on these items, as far as they have any."""
    found = {row.condition: row for row in on_these}
    there = [found.get(row.condition) for row in rows]
    sizes = " or ".join(map(str, sorted({row.n for row in on_these})))
    group = f"{which} (n = {sizes})" if sizes else which
    yield "diff.", "points", group, [row.difference.value if row and row.difference else None for row in there]
    yield "drift %", "percent", group, [row.drift.share.value if row and row.drift else None for row in there]


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
        by_columns(
            "frontier",
            f"The frontier ({size(rows[0])})",
            ("condition", "name", [row.condition for row in rows]),
            ("accuracy %", "percent", [row.accuracy for row in rows]),
            ("drift %", "percent", [row.drift.share if row.drift else 0 for row in rows]),
            notes=[
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
    rows = results.floor
    drifts = [row.drift for row in rows]
    n = f"n = {drifts[0].n_items} items in {drifts[0].n_clusters} orbits" if drifts else "nothing was measured"
    return [
        "## 9. The noise floor",
        by_columns(
            "floor",
            f"Drift where nothing was done ({n})",
            ("condition", "name", [row.name for row in rows]),
            ("changed answers", "count", [row.n_changed for row in rows]),
            ("drift %", "percent", drifts),
            ("largest change of an option, nats", "significant", [row.max_logprob_difference for row in rows]),
            notes=[
                "other batches: a second baseline in batches of another size and order. scale=1: an edit of strength "
                f"zero. The floor is the largest of these drifts. {intervals_note(drifts)}"
            ],
        ),
    ]
