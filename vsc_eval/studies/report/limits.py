"""Section 10: what was excluded and why, the baseline's cells, and the doubts that the data themselves raise."""

from __future__ import annotations

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.run_tables import NONE, TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.doubts import doubts
from vsc_eval.studies.report.markdown import bullets, code, escape, paragraphs, table
from vsc_eval.studies.report.words import share, share_ci
from vsc_eval.synthetic import LETTERS, LEVELS


def section(results: StudyResults) -> str:
    return paragraphs(
        [
            "## 10. Exclusions and limits",
            _excluded(results),
            table(_cells(results)),
            "What the data themselves say against too firm a reading:",
            bullets(doubts(results)),
        ]
    )


def _excluded(results: StudyResults) -> str:
    if not results.excluded:
        return "Nothing was excluded: every condition has an answer for every item, and every control draw was made."
    return table(
        TextTable(
            title="Excluded",
            columns=("what", "why"),
            rows=tuple((escape(entry.what), escape(entry.why)) for entry in results.excluded),
        )
    )


def _cells(results: StudyResults) -> TextTable:
    levels = [level for level in LEVELS if results.row("baseline", "level", None, level)]

    def accuracy(task: str | None, level: str | None) -> str:
        scope: Scope = "cell" if task and level else "task" if task else "level" if level else "all"
        row = results.row("baseline", scope, task, level)
        return NONE if row is None else share(row.accuracy.value)

    rows = [
        (code(task), *(accuracy(task, level) for level in levels), _with_interval(results, task))
        for task in results.spec.tasks
    ]
    rows.append(("all", *(accuracy(None, level) for level in levels), _with_interval(results, None)))
    whole = results.row("baseline")
    assert whole is not None
    return TextTable(
        title=f"Accuracy % of the baseline (n = {results.spec.sweep.items_per_cell} items a cell)",
        columns=("task", *levels, "all levels"),
        rows=tuple(rows),
        notes=(
            f"[ ]: {escape(whole.accuracy.method)}. Guessing gives {share(1 / len(LETTERS))} %. Unreadable answers: "
            f"{share(whole.invalid_rate)} % of {whole.n}.",
        ),
    )


def _with_interval(results: StudyResults, task: str | None) -> str:
    row = results.row("baseline", "task" if task else "all", task)
    return NONE if row is None else share_ci(row.accuracy)
