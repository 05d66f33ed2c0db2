"""What the names of a study's records are called, and what several parts of it say in the same words."""

from collections.abc import Iterable, Sequence

from vsc_eval.analysis.controls import ControlKind, Outcome
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.stats import Figure
from vsc_eval.studies.spec import StudySpec
from vsc_eval.tables.numbers import span
from vsc_eval.tables.table import Table, methods_note

Section = list[str | Table]
"""Paragraphs in Markdown and tables, in the order of the report."""

KIND_WORDS: dict[ControlKind, str] = {
    "random_sets": "matched random sets",
    "random_directions": "random directions",
    "permuted_labels": "permuted labels",
}
OUTCOME_WORDS: dict[Outcome, str] = {"drift": "drift", "accuracy": "accuracy difference"}
FORM_WORDS: dict[Form, str] = {"raw": "raw", "norm_matched": "norm-matched"}
CORRECTION_WORDS = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
EDITED: dict[Role, str] = {
    "single": "single sets",
    "combined": "combined edits",
    "norm_matched": "norm-matched combined edits",
}
"""Roles of the conditions that edit, in a study's report."""


def spaced(name: str) -> str:
    """A task's name in a figure: `spatial relation`."""
    return name.replace("_", " ")


def size(row: Row | InteractionRow) -> str:
    """`n = 420 items in 105 orbits`."""
    return f"n = {row.n} items in {row.n_clusters} orbits"


def tests_note(spec: StudySpec, figures: Iterable[Figure | None], family: str) -> str:
    """How a table's intervals and p were made; `family` are the tests that p is adjusted over."""
    methods = methods_note(figure.method for figure in figures if figure is not None and figure.low is not None)
    return f"{methods or ''} p: {sign_flip_words(spec)}, {correction_words(spec)} over {family}."


def sign_flip_words(spec: StudySpec) -> str:
    return f"sign-flip test, two-sided, whole orbits flipped, exact or {spec.statistics.permutations} random draws"


def correction_words(spec: StudySpec) -> str:
    return CORRECTION_WORDS[spec.verdict.correction]


def detectable_words(pairs: Sequence[InteractionRow]) -> str:
    """Smallest detectable interactions of these pairs."""
    drift, accuracy = (pair.detectable_drift for pair in pairs), (pair.detectable_accuracy for pair in pairs)
    return f"{span(drift)} points of drift, {span(accuracy)} points of accuracy"


def drift_of(row: Row) -> float:
    """Drift of a condition; the baseline has none."""
    return row.drift.share.value or 0.0 if row.drift else 0.0


def accuracy_of(row: Row) -> float:
    assert row.accuracy.value is not None
    return row.accuracy.value


def gain_of(row: Row) -> float:
    """Accuracy less the baseline's; 0 for the baseline itself."""
    return row.difference.value or 0.0 if row.difference else 0.0
