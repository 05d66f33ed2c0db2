"""The intervention board: what every condition did to accuracy and to answers, what combined edits do beyond their
parts, and effects beside those of controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow
from vsc_eval.analysis.rows import Row
from vsc_eval.board.records import BoardCondition, Entry
from vsc_eval.board.tables.baseline import MODEL, N_ITEMS, NOT_ASKED
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.stats import adjust
from vsc_eval.stats.drift import PARTS
from vsc_eval.tables.clean import CONDITION, SHORT, name
from vsc_eval.tables.numbers import counted
from vsc_eval.tables.table import Cell, Column, Table, TableRow, Value, cell, methods_note, table

OUTCOMES = ("drift", "accuracy")

_CONDITION = Column("condition", "condition", note="Feature sets and edit", limit=CONDITION)
_PARTS = {
    "right_to_wrong": "right→wrong",
    "wrong_to_right": "wrong→right",
    "wrong_to_other": "wrong→other",
    "to_invalid": "→invalid",
    "from_invalid": "invalid→",
}
assert tuple(_PARTS) == PARTS

_NO_P = "no item is right under one of the two only"
_NO_TARGETS = "its sets name no task"
_NO_FLOOR = "no noise floor was measured"
_NO_TEST = "no test was made"
_NO_VERDICT = "no verdict was asked for"
_NO_CONTROL = "no controls were run for it"
_NO_DRAWS = "no draws"

_VERDICTS = {"none": "no interference"}
"""In words that cannot be read as a missing one."""


def intervention_tables(view: BoardView) -> tuple[Table, ...]:
    """`effects`, `parts`, `unions`, `controls`: those for which some entry has figures."""
    return tuple(found for found in (_effects(view), _parts(view), _interactions(view), _controls(view)) if found.rows)


def worst_floor(entry: Entry) -> FloorRow | None:
    """The null condition that changed most answers."""
    known = [floor for floor in entry.floor if floor.drift.value is not None]
    return max(known, key=lambda floor: floor.drift.value or 0.0) if known else None


def adjusted_p(view: BoardView, entry: Entry) -> dict[str, float | None]:
    """Condition -> p of its difference on all items, by Holm over all conditions of the entry."""
    names = [condition.name for condition in entry.edits]
    rows = [view.row(entry, name, "all") for name in names]
    return dict(zip(names, adjust([row.p_difference if row else None for row in rows]), strict=True))


def _row(
    view: BoardView, entry: Entry, words: str, condition: BoardCondition | None, *values: Value | Cell
) -> TableRow:
    return TableRow.of(
        (view.labels[entry.id], words, *values),
        entries=(entry.id,),
        is_headline=condition.is_headline if condition else True,
        condition=condition.name if condition else None,
    )


def _effects(view: BoardView) -> Table:
    rows = []
    for entry in view.edited():
        adjusted, floor = adjusted_p(view, entry), worst_floor(entry)
        floor_about = f"{name(floor.name, CONDITION)}: {floor.n_changed} answers" if floor else ""
        floor_cell = cell(floor.drift if floor else None, missing=_NO_FLOOR, note=floor_about)
        for condition in entry.edits:
            if row := view.row(entry, condition.name, "all"):
                figures = (
                    row.n,
                    cell(row.difference, missing=NOT_ASKED),
                    cell(row.p_difference, missing=_NO_P),
                    cell(adjusted[condition.name], missing=_NO_P),
                    cell(row.drift.share if row.drift else None, missing=NOT_ASKED),
                    _on_or_off(view, entry, condition, "on_target"),
                    _on_or_off(view, entry, condition, "off_target"),
                    floor_cell,
                )
                rows.append(_row(view, entry, condition.name, condition, *figures))
    return table(
        "effects",
        "Interventions",
        (
            MODEL,
            _CONDITION,
            N_ITEMS,
            Column("difference", "difference", "points", "accuracy", "Against the baseline, percentage points"),
            Column("p", "p, unadjusted", "p", "accuracy"),
            Column("p_holm", "p, Holm", "p", "accuracy", "Adjusted over all conditions of the entry"),
            Column("drift", "all", "percent", "drift", "Share of answers that changed"),
            Column("on_target", "on target", "percent", "drift", "On the tasks that the sets were selected for"),
            Column("off_target", "off target", "percent", "drift", "On all other tasks"),
            Column("floor", "floor", "percent", "drift", "Largest drift where nothing was done"),
        ),
        rows,
        _effect_notes(view),
        section="model",
    )


def _on_or_off(view: BoardView, entry: Entry, condition: BoardCondition, scope: Scope) -> Cell:
    row = view.row(entry, condition.name, scope)
    if row is None:
        return cell(None, missing=_NO_TARGETS if condition.targets is None else "no such items")
    drift = row.drift.share if row.drift else None
    return cell(drift, missing=NOT_ASKED, note=f"n = {row.n} in {row.n_clusters} clusters")


def _effect_notes(view: BoardView) -> Iterable[str | None]:
    firsts = (view.row(entry, condition.name, "all") for entry in view.edited() for condition in entry.edits[:1])
    hidden = sum(not c.is_headline for entry in view.edited() for c in entry.edits)
    yield (
        "difference: accuracy less the baseline's, paired, in percentage points [interval]; p of it by sign "
        "flips of whole clusters, two-sided, unadjusted and by Holm over all conditions of the entry. drift: share of "
        "answers that differ from the baseline's, in percent [interval]; on target: on the tasks that the sets "
        "were selected for; floor: the largest drift where nothing was done."
    )
    yield methods_note(row.method for row in firsts if row is not None)
    if hidden:
        words = "Printed tables have the headline conditions only; the page and interventions.csv have all"
        yield f"{words} ({hidden} more)."


def _parts(view: BoardView) -> Table:
    found = (
        (entry, condition, row)
        for entry in view.edited()
        for condition in entry.edits
        if (row := view.row(entry, condition.name, "all")) and row.drift
    )
    return table(
        "parts",
        "Parts of the drift",
        (
            MODEL,
            _CONDITION,
            N_ITEMS,
            Column("n_changed", "changed", "count", note="Answers that differ from the baseline's"),
            *(Column(part, heading, "count") for part, heading in _PARTS.items()),
        ),
        [_row(view, entry, condition.name, condition, *_counts(row)) for entry, condition, row in found],
        [
            "Items whose answer changed, and in which direction; the five parts exclude each other and add up to "
            "the changed ones. other: another wrong answer. invalid: an answer that names no option."
        ],
        section="model",
    )


def _counts(row: Row) -> list[int]:
    return [row.n, *(getattr(row.drift, part) for part in ("n_changed", *PARTS))]


def _interactions(view: BoardView) -> Table:
    rows = []
    for entry in view.edited():
        for pair in entry.interactions:
            figures = (
                cell(pair.drift_interaction, missing=_NO_TEST),
                cell(pair.p_drift_adjusted, missing=_NO_TEST),
                cell(pair.accuracy_interaction, missing=_NO_TEST),
                cell(pair.p_accuracy_adjusted, missing=_NO_TEST),
                _verdict(pair),
            )
            is_headline = any(c.is_headline for c in entry.conditions if c.name == pair.condition)
            values = (view.labels[entry.id], pair.condition, *figures)
            rows.append(TableRow.of(values, entries=(entry.id,), is_headline=is_headline, condition=pair.condition))
    beyond = "Percentage points beyond what the parts lead to expect"
    return table(
        "unions",
        "Unions beyond their parts",
        (
            MODEL,
            Column("union", "union", note="Two feature sets and the edit", limit=CONDITION),
            Column("drift_interaction", "interaction", "points", "drift", beyond),
            Column("p_drift", "p, adjusted", "p", "drift"),
            Column(
                "accuracy_interaction", "interaction", "points", "accuracy", "Percentage points; below 0 is harmful"
            ),
            Column("p_accuracy", "p, adjusted", "p", "accuracy"),
            Column("verdict", "verdict", note="By the rule in the entry's settings"),
        ),
        rows,
        _interaction_notes(view),
        section="model",
    )


def _verdict(pair: InteractionRow) -> Cell:
    if pair.verdict is None:
        return cell(None, missing=_NO_VERDICT)
    return cell(_VERDICTS.get(pair.verdict, pair.verdict), note=pair.decided_by or "")


def _interaction_notes(view: BoardView) -> Iterable[str]:
    yield (
        "interaction: drift, or the accuracy difference, of the union less the sum of its two parts', in percentage "
        "points [interval]. Harmful is drift above 0 and accuracy below 0."
    )
    matched = {entry.about.source for entry in view.edited() for u in entry.interactions if u.form == "norm_matched"}
    if "study" in matched:
        yield (
            "A norm-matched union (norm= in its name) of a study is compared with the mean, or the more harmful, of "
            "its parts as the name says" + ("; of a run, with their sum." if "run" in matched else ".")
        )
    corrections = {correction_of(entry) for entry in view.edited() if any(map(_has_p, entry.interactions))}
    if corrections:
        words = " or ".join(sorted({"holm": "Holm", "bh": "Benjamini-Hochberg"}.get(c, c) for c in corrections))
        yield (
            f"p: sign-flip test of the interaction, two-sided, whole clusters, adjusted by {words} over all pairs "
            "and both outcomes of one edit and form."
        )


def _has_p(pair: InteractionRow) -> bool:
    return pair.p_drift_adjusted is not None or pair.p_accuracy_adjusted is not None


def correction_of(entry: Entry) -> str:
    """What the p of its interactions are adjusted by, as its settings name it."""
    verdict = entry.settings.get("verdict")
    found = verdict.get("correction") if isinstance(verdict, Mapping) else None
    return name(found, SHORT) if isinstance(found, str) else "the correction that its settings name"


@dataclass(frozen=True)
class WorstControl:
    """The kind of control against which an effect stands out least: the largest p and, of equal ones, the lowest
    percentile."""

    figure: ControlTest
    n_kinds: int


Effect = tuple[str, tuple[str, ...]]
"""`single`, `combined` or `interaction`, and the sets."""


def worst_controls(entry: Entry) -> dict[Effect, dict[str, WorstControl]]:
    """Effect -> outcome -> its worst control, in the entry's order. An outcome that no table knows is left out."""
    groups: dict[Effect, dict[str, list[ControlTest]]] = {}
    for figure in entry.controls:
        if figure.outcome in OUTCOMES:
            groups.setdefault((figure.effect, figure.sets), {}).setdefault(figure.outcome, []).append(figure)
    return {
        effect: {outcome: WorstControl(min(found, key=_remarkable), len(found)) for outcome, found in by.items()}
        for effect, by in groups.items()
    }


def _remarkable(figure: ControlTest) -> tuple[float, float, str]:
    p = 2.0 if figure.p is None else figure.p
    return -p, -1.0 if figure.percentile is None else figure.percentile, figure.kind


def controlled_condition(entry: Entry, effect: Effect) -> BoardCondition | None:
    """The condition whose effect, or whose interaction over its parts, it is; None where that cannot be told.

    Controls are run under one edit, that of the verdicts.
    """
    kind, sets = effect
    role = "single" if kind == "single" else "combined"
    edits = {pair.edit for pair in entry.interactions if pair.verdict is not None}
    found = [
        condition
        for condition in entry.edits
        if condition.role == role and condition.sets == sets and (not edits or condition.edit in edits)
    ]
    return found[0] if len(found) == 1 else None


def _controls(view: BoardView) -> Table:
    rows = []
    for entry in view.edited():
        for effect, by_outcome in worst_controls(entry).items():
            condition = controlled_condition(entry, effect)
            words = condition.name if condition else "+".join(effect[1])
            beside = (each for outcome in OUTCOMES for each in _beside_controls(by_outcome.get(outcome)))
            of = "interaction" if effect[0] == "interaction" else "effect"
            rows.append(_row(view, entry, words, condition, of, *beside))
    return table(
        "controls",
        "Effects beside those of controls",
        (
            MODEL,
            Column("condition", "condition", limit=CONDITION),
            Column("of", "of", note="Its effect, or what a union does beyond its parts"),
            *(column for outcome in OUTCOMES for column in _control_columns(outcome)),
        ),
        rows,
        [
            "value: drift, or the accuracy difference, on the items of the controls, in percentage points. pctl: share "
            "of control draws that are less harmful, ties half, in percent; p = (1 + draws at least as harmful) / (1 + "
            "draws), unadjusted. Of several kinds of control, the one against which the effect stands out least: the "
            "largest p and, of equals, the lowest percentile."
        ],
        section="model",
    )


def _control_columns(outcome: str) -> tuple[Column, ...]:
    return (
        Column(f"{outcome}_value", "value", "points", outcome),
        Column(f"{outcome}_percentile", "pctl", "percent", outcome, "Share of draws that are less harmful, in percent"),
        Column(f"{outcome}_p", "p", "p", outcome, "Unadjusted"),
        Column(f"{outcome}_kind", "worst control", "text", outcome),
    )


def _beside_controls(worst: WorstControl | None) -> tuple[Cell, ...]:
    if worst is None:
        return (cell(None, missing=_NO_CONTROL),) * 4
    figure, percentile = worst.figure, worst.figure.percentile
    about = f"{counted(len(figure.draws), 'draw')}; {counted(worst.n_kinds, 'kind')} of control"
    return (
        cell(figure.value),
        cell(None if percentile is None else percentile / 100, missing=_NO_DRAWS, note=about),
        cell(figure.p, missing=_NO_DRAWS),
        cell(figure.kind.replace("_", " "), note=about),
    )
