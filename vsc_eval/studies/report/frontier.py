"""Section 7: accuracy against drift, every condition a point."""

from __future__ import annotations

from vsc_eval.analysis.rows import Row
from vsc_eval.analysis.run_tables import TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, image, paragraphs, table
from vsc_eval.studies.report.words import interval_note, share_ci, size

FIGURE = "frontier.png"


def section(results: StudyResults) -> str:
    return paragraphs(
        [
            "## 7. Accuracy against drift",
            image(
                f"figures/{FIGURE}",
                "Scatter of accuracy against drift, one point for each condition, with the baseline and the frontier",
                f"Every condition of the sweep. Colour: edit; shape: {_shapes(results)}. Bars: intervals of the "
                "conditions that are named. Line: conditions that no other one beats in both accuracy and drift.",
            ),
            table(_table(results)),
        ]
    )


def _shapes(results: StudyResults) -> str:
    matched = ", norm-matched union" if results.spec.sweep.norm_match else ""
    return f"single set, union{matched}"


def points(results: StudyResults) -> list[Row]:
    """Every condition on all items, the baseline first."""
    return [row for row in results.rows if row.scope == "all"]


def drift_of(row: Row) -> float:
    """Drift of a condition; the baseline has none."""
    return 0.0 if row.drift is None or row.drift.share.value is None else row.drift.share.value


def accuracy_of(row: Row) -> float:
    assert row.accuracy.value is not None
    return row.accuracy.value


def pareto(results: StudyResults) -> list[Row]:
    """Conditions that none beats, by rising drift: each is more accurate than all with less drift."""
    found: list[Row] = []
    for row in sorted(points(results), key=lambda row: (drift_of(row), -accuracy_of(row))):
        if not found or accuracy_of(row) > accuracy_of(found[-1]):
            found.append(row)
    return found


def _table(results: StudyResults) -> TextTable:
    rows = pareto(results)
    return TextTable(
        title=f"The frontier ({size(rows[0].n, rows[0].n_clusters)})",
        columns=("condition", "accuracy %", "drift %"),
        rows=tuple(
            (code(row.condition), share_ci(row.accuracy), share_ci(row.drift.share) if row.drift else "0.0")
            for row in rows
        ),
        notes=(
            f"{interval_note(row.accuracy for row in rows)} The best of many conditions on these items: a gain along "
            "this line is not evidence of one (section 4 has the tests).",
        ),
    )
