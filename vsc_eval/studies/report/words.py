"""Rows of a study's results as the report picks and names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vsc_eval.analysis.groups import Scope
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


def size(n: int, n_clusters: int) -> str:
    """`n = 420 items in 105 orbits`."""
    return f"n = {n} items in {n_clusters} orbits"


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


def baseline(results: StudyResults) -> Row:
    found = results.row("baseline")
    assert found is not None
    return found


def edited(results: StudyResults, edit: str, *roles: Role, scope: Scope = "all") -> list[Row]:
    """Conditions under that edit, of these roles or of all that edit."""
    return [row for row in results.rows if row.scope == scope and row.edit == edit and row.role in (roles or EDITED)]


def conditions(results: StudyResults) -> list[Row]:
    """Every condition on all items, the baseline first."""
    return [row for row in results.rows if row.scope == "all"]


def is_matched(row: Row) -> bool:
    return row.role == "norm_matched"


def pairs_of(results: StudyResults, edit: str, form: str) -> list[InteractionRow]:
    return [pair for pair in results.pairs if (pair.edit, pair.form) == (edit, form)]


def ruled(results: StudyResults, form: str) -> list[InteractionRow]:
    """The pairs of that form which have a verdict."""
    return [pair for pair in results.pairs if pair.form == form and pair.verdict is not None]


def interactions(pairs: Iterable[InteractionRow]) -> list[Figure]:
    return [figure for pair in pairs for figure in (pair.drift_interaction, pair.accuracy_interaction)]


def detectable_words(pairs: Sequence[InteractionRow]) -> str:
    """Smallest detectable interactions of these pairs."""
    drift, accuracy = (pair.detectable_drift for pair in pairs), (pair.detectable_accuracy for pair in pairs)
    return f"{span(drift)} points of drift, {span(accuracy)} points of accuracy"


def drift_of(row: Row) -> float:
    """Drift of a condition; the baseline has none."""
    return 0.0 if row.drift is None or row.drift.share.value is None else row.drift.share.value


def accuracy_of(row: Row) -> float:
    assert row.accuracy.value is not None
    return row.accuracy.value


def gain_of(row: Row) -> float:
    """Accuracy less the baseline's; 0 for the baseline itself."""
    return 0.0 if row.difference is None or row.difference.value is None else row.difference.value


def noise_floor(results: StudyResults) -> float:
    return max((row.drift.value or 0.0 for row in results.floor), default=0.0)
