"""What the names of a study's records are called in prose, tables and figures."""

from vsc_eval.analysis.controls import ControlKind, Outcome
from vsc_eval.analysis.interactions import Form
from vsc_eval.answers.answer_table import Role

KIND_WORDS: dict[ControlKind, str] = {
    "random_sets": "matched random sets",
    "random_directions": "random directions",
    "permuted_labels": "permuted labels",
}
"""Kinds of control."""
OUTCOME_WORDS: dict[Outcome, str] = {"drift": "drift", "accuracy": "accuracy difference"}
FORM_WORDS: dict[Form, str] = {"raw": "raw", "norm_matched": "norm-matched"}
"""Forms of a union."""
CORRECTION_WORDS = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
ROLE_WORDS: dict[Role, str] = {
    "baseline": "baseline",
    "single": "single set",
    "combined": "union",
    "norm_matched": "norm-matched union",
}
"""Roles of a condition, in a board's entries and in a study's tables."""


def spaced(name: str) -> str:
    """A task's name in a figure: `spatial relation`."""
    return name.replace("_", " ")
