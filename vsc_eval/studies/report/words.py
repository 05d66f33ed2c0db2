"""What several sections of a report say in the same words."""

from collections.abc import Iterable, Sequence

from vsc_eval.analysis.controls import Outcome
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.stats import Figure
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.words import CORRECTION_WORDS
from vsc_eval.tables.numbers import span
from vsc_eval.tables.table import Table, methods_note

Section = list[str | Table | None]
"""Paragraphs in Markdown and tables, in the order of the report."""

EDITED: dict[Role, str] = {
    "single": "single sets",
    "combined": "unions of two",
    "norm_matched": "norm-matched unions",
}
"""Roles of the conditions that edit, as they are shown one after the other."""


def size(row: Row | InteractionRow) -> str:
    """`n = 420 items in 105 orbits`."""
    return f"n = {row.n} items in {row.n_clusters} orbits"


def set_names(sets: Sequence[str]) -> str:
    """`counting+logic`."""
    return "+".join(sets)


def intervals_note(figures: Iterable[Figure | None]) -> str:
    """How the intervals of a table were made."""
    return methods_note(figure.method for figure in figures if figure is not None and figure.low is not None) or ""


def sign_flip_words(results: StudyResults) -> str:
    return (
        f"sign-flip test, two-sided, whole orbits flipped, exact or {results.spec.statistics.permutations} random draws"
    )


def correction_words(results: StudyResults) -> str:
    return CORRECTION_WORDS[results.spec.verdict.correction]


def detectable_words(pairs: Sequence[InteractionRow]) -> str:
    """Smallest detectable interactions of these pairs."""
    drift, accuracy = (pair.detectable_drift for pair in pairs), (pair.detectable_accuracy for pair in pairs)
    return f"{span(drift)} points of drift, {span(accuracy)} points of accuracy"


def interaction_of(pair: InteractionRow, outcome: Outcome) -> tuple[Figure, float | None]:
    """The interaction, and its adjusted p."""
    if outcome == "drift":
        return pair.drift_interaction, pair.p_drift_adjusted
    return pair.accuracy_interaction, pair.p_accuracy_adjusted


def drift_of(row: Row) -> float:
    """Drift of a condition; the baseline has none."""
    return row.drift.share.value or 0.0 if row.drift else 0.0


def accuracy_of(row: Row) -> float:
    assert row.accuracy.value is not None
    return row.accuracy.value


def gain_of(row: Row) -> float:
    """Accuracy less the baseline's; 0 for the baseline itself."""
    return row.difference.value or 0.0 if row.difference else 0.0
