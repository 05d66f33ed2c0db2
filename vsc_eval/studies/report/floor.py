"""Section 9: how much answers change where nothing was done."""

from __future__ import annotations

from vsc_eval.analysis.run_tables import TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, paragraphs, table
from vsc_eval.studies.report.words import interval_note, share_ci, size


def section(results: StudyResults) -> str:
    return paragraphs(["## 9. The noise floor", table(_table(results))])


def _table(results: StudyResults) -> TextTable:
    rows = results.floor
    n = size(rows[0].drift.n_items, rows[0].drift.n_clusters) if rows else "nothing was measured"
    return TextTable(
        title=f"Drift where nothing was done ({n})",
        columns=("condition", "changed answers", "drift %", "largest change of an option, nats"),
        rows=tuple(
            (code(row.name), str(row.n_changed), share_ci(row.drift), f"{row.max_logprob_difference:.2g}")
            for row in rows
        ),
        notes=(
            "other batches: a second baseline in batches of another size and order. scale=1: an edit of strength zero. "
            f"The floor is the largest of these drifts. {interval_note(row.drift for row in rows)}",
        ),
    )
