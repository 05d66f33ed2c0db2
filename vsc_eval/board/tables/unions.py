"""What unions of two sets do beyond their parts, and effects beside those of controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vsc_eval.board.records import BoardCondition, ControlFigure, Entry, UnionFigure
from vsc_eval.board.tables.cells import (
    missing_cell,
    p_cell,
    points_cell,
    reason_notes,
    share_cell,
    text_cell,
)
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.numbers import points
from vsc_eval.board.tables.plain_text import CONDITION, plain
from vsc_eval.board.tables.table import MODEL, Cell, Column, Row, Table

OUTCOMES = ("drift", "accuracy")
NO_TEST = "no test was made"
NO_VERDICT = "no verdict was asked for"
NO_CONTROL = "no controls were run for it"

_VERDICTS = {"none": "no interference"}
"""In words that cannot be read as a missing one."""


def unions_table(view: BoardView) -> Table | None:
    """`unions`; None where no entry has both a union and its parts."""
    rows = []
    for entry in view.edited():
        headlines = {condition.name for condition in entry.conditions if condition.is_headline}
        rows += [_union(view, entry, union, union.union in headlines) for union in entry.unions]
    if not rows:
        return None
    return Table(
        key="unions",
        title="Unions beyond their parts",
        columns=(
            MODEL,
            Column("union", "union", "text", about="Two feature sets and the edit", limit=CONDITION),
            Column(
                "drift_interaction",
                "interaction",
                "points",
                "drift",
                "Percentage points beyond what the parts lead to expect",
            ),
            Column("p_drift", "p, adjusted", "p", "drift"),
            Column(
                "accuracy_interaction", "interaction", "points", "accuracy", "Percentage points; below 0 is harmful"
            ),
            Column("p_accuracy", "p, adjusted", "p", "accuracy"),
            Column("verdict", "verdict", "text", about="By the rule in the entry's settings"),
        ),
        rows=tuple(rows),
        notes=(*_union_notes(view), *reason_notes(rows)),
        section="model",
    )


def _union(view: BoardView, entry: Entry, union: UnionFigure, is_headline: bool) -> Row:
    return Row(
        (
            text_cell(view.labels[entry.id]),
            text_cell(union.union),
            points_cell(union.drift_interaction, NO_TEST),
            p_cell(union.p_drift_adjusted, NO_TEST),
            points_cell(union.accuracy_interaction, NO_TEST),
            p_cell(union.p_accuracy_adjusted, NO_TEST),
            _verdict_cell(union),
        ),
        (entry.id,),
        is_headline,
        union.union,
    )


def _verdict_cell(union: UnionFigure) -> Cell:
    if union.verdict is None:
        return missing_cell(NO_VERDICT)
    return text_cell(
        _VERDICTS.get(union.verdict, union.verdict), plain(union.decided_by, 400) if union.decided_by else ""
    )


def _union_notes(view: BoardView) -> Iterable[str]:
    yield (
        "interaction: drift, or the accuracy difference, of the union less the sum of its two parts', in "
        "percentage points "
        "[interval]. Harmful is drift above 0 and accuracy below 0."
    )
    matched = {entry.provenance.source for entry in view.edited() for u in entry.unions if u.form == "norm_matched"}
    if "study" in matched:
        yield (
            "A norm-matched union (norm= in its name) of a study is compared with the mean, or the more harmful, of "
            "its parts as the name says" + ("; of a run, with their sum." if "run" in matched else ".")
        )
    corrections = {correction_of(entry) for entry in view.edited() if any(_has_p(u) for u in entry.unions)}
    if corrections:
        words = " or ".join(sorted({"holm": "Holm", "bh": "Benjamini-Hochberg"}.get(c, c) for c in corrections))
        yield (
            f"p: sign-flip test of the interaction, two-sided, whole clusters, adjusted by {words} over all pairs "
            f"and both "
            "outcomes of one edit and form."
        )


def _has_p(union: UnionFigure) -> bool:
    return union.p_drift_adjusted is not None or union.p_accuracy_adjusted is not None


def correction_of(entry: Entry) -> str:
    """What the p of its unions are adjusted by, as its settings name it."""
    verdict = entry.provenance.settings.get("verdict")
    found = verdict.get("correction") if isinstance(verdict, Mapping) else None
    return plain(found, 40) if isinstance(found, str) else "the correction that its settings name"


@dataclass(frozen=True)
class WorstControl:
    """The kind of control against which an effect stands out least: the largest p and, of equal ones, the lowest
    percentile."""

    figure: ControlFigure
    n_kinds: int


Effect = tuple[str, tuple[str, ...]]
"""`single`, `union` or `interaction`, and the sets."""


def worst_controls(entry: Entry) -> dict[Effect, dict[str, WorstControl]]:
    """Effect -> outcome -> its worst control, in the entry's order. An outcome that no table knows is left out."""
    groups: dict[Effect, dict[str, list[ControlFigure]]] = {}
    for figure in entry.controls:
        if figure.outcome not in OUTCOMES:
            continue
        groups.setdefault((figure.effect, figure.sets), {}).setdefault(figure.outcome, []).append(figure)
    return {
        effect: {outcome: WorstControl(min(found, key=_remarkable), len(found)) for outcome, found in by.items()}
        for effect, by in groups.items()
    }


def _remarkable(figure: ControlFigure) -> tuple[float, float, str]:
    p = 2.0 if figure.p is None else figure.p
    return -p, -1.0 if figure.percentile is None else figure.percentile, figure.kind


def controlled_condition(entry: Entry, effect: Effect) -> BoardCondition | None:
    """The condition whose effect, or whose interaction over its parts, it is; None where that cannot be told.

    Controls are run under one edit, that of the verdicts.
    """
    kind, sets = effect
    role = "single" if kind == "single" else "combined"
    edits = {union.edit for union in entry.unions if union.verdict is not None}
    found = [
        condition
        for condition in entry.edits
        if condition.role == role and condition.sets == sets and (not edits or condition.edit in edits)
    ]
    return found[0] if len(found) == 1 else None


def controls_table(view: BoardView) -> Table | None:
    """`controls`; None where no entry has controls."""
    rows = []
    for entry in view.edited():
        for effect, by_outcome in worst_controls(entry).items():
            condition = controlled_condition(entry, effect)
            words = condition.name if condition else "+".join(effect[1])
            rows.append(
                Row(
                    (
                        text_cell(view.labels[entry.id]),
                        text_cell(words),
                        text_cell("interaction" if effect[0] == "interaction" else "effect"),
                        *(cell for outcome in OUTCOMES for cell in _beside_controls(by_outcome.get(outcome))),
                    ),
                    (entry.id,),
                    condition.is_headline if condition else True,
                    condition.name if condition else None,
                )
            )
    if not rows:
        return None
    return Table(
        key="controls",
        title="Effects beside those of controls",
        columns=(
            MODEL,
            Column("condition", "condition", "text", limit=CONDITION),
            Column("of", "of", "text", about="Its effect, or what a union does beyond its parts"),
            *(column for outcome in OUTCOMES for column in _columns(outcome)),
        ),
        rows=tuple(rows),
        notes=(
            "value: drift, or the accuracy difference, on the items of the controls, in percentage points. pctl: share "
            "of control draws that are less harmful, ties half, in percent; p = (1 + draws at least as harmful) / (1 + "
            "draws), unadjusted. Of several kinds of control, the one against which the effect stands out least: the "
            "largest p and, of equals, the lowest percentile.",
            *reason_notes(rows),
        ),
        section="model",
    )


def _columns(outcome: str) -> tuple[Column, ...]:
    return (
        Column(f"{outcome}_value", "value", "points", outcome),
        Column(f"{outcome}_percentile", "pctl", "percent", outcome, "Share of draws that are less harmful, in percent"),
        Column(f"{outcome}_p", "p", "p", outcome, "Unadjusted"),
        Column(f"{outcome}_kind", "worst control", "text", outcome),
    )


def _beside_controls(worst: WorstControl | None) -> tuple[Cell, ...]:
    if worst is None:
        return (missing_cell(NO_CONTROL),) * 4
    figure, percentile = worst.figure, worst.figure.percentile
    about = f"{len(figure.draws)} draws; {worst.n_kinds} {'kind' if worst.n_kinds == 1 else 'kinds'} of control"
    return (
        Cell(points(figure.value), figure.value),
        missing_cell("no draws") if percentile is None else share_cell(percentile / 100, about),
        p_cell(figure.p, "no draws"),
        text_cell(plain(figure.kind.replace("_", " "), 40), about),
    )
