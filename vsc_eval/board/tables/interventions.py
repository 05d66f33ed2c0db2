"""The intervention board: what every condition did to accuracy and to answers, what combined edits do beyond their
parts, and effects beside those of controls."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vsc_eval.analysis.controls import ControlTest, Outcome
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow
from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.board.records import Entry, drift_share, mapping
from vsc_eval.board.tables.baseline import MODEL, N_ITEMS, NOT_ASKED
from vsc_eval.board.tables.models import BoardView
from vsc_eval.stats import adjust
from vsc_eval.stats.drift import PARTS
from vsc_eval.tables.clean import CONDITION, SHORT, name
from vsc_eval.tables.numbers import counted
from vsc_eval.tables.table import Cell, Column, Table, TableRow, Value, cell, methods_note, table

OUTCOMES: tuple[Outcome, ...] = ("drift", "accuracy")
ON_AND_OFF: tuple[Scope, ...] = ("on_target", "off_target")

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
_NO_TEST = "no test was made"
_NO_DRAWS = "no draws"


def intervention_tables(view: BoardView) -> tuple[Table, ...]:
    """`effects`, `parts`, `unions`, `controls`: those for which some entry has figures."""
    return tuple(found for found in (_effects(view), _parts(view), _interactions(view), _controls(view)) if found.rows)


def worst_floor(entry: Entry) -> FloorRow | None:
    """The null condition that changed most answers."""
    known = [floor for floor in entry.results.floor if floor.drift.value is not None]
    return max(known, key=lambda floor: floor.drift.value or 0.0, default=None)


def adjusted_p(entry: Entry) -> dict[str, float | None]:
    """Condition -> p of its difference on all items, by Holm over all conditions of the entry."""
    names = [condition.name for condition in entry.edits]
    rows = [entry.row(name, "all") for name in names]
    return dict(zip(names, adjust([row.p_difference if row else None for row in rows]), strict=True))


def _row(view: BoardView, entry: Entry, condition: str | None, *values: Value | Cell, words: str = "") -> TableRow:
    """Of a condition, by its name; or of what has none, in words."""
    return TableRow.of(
        (view.labels[entry.id], words if condition is None else condition, *values),
        entries=(entry.id,),
        is_headline=condition is None or condition in entry.headlines,
        condition=condition,
    )


def _effects(view: BoardView) -> Table:
    rows = []
    for entry in view.edited:
        adjusted, floor = adjusted_p(entry), worst_floor(entry)
        floor_about = f"{name(floor.name, CONDITION)}: {floor.n_changed} answers" if floor else ""
        floor_cell = cell(floor.drift if floor else None, missing="no noise floor was measured", note=floor_about)
        for condition in entry.edits:
            if row := entry.row(condition.name, "all"):
                figures = (
                    cell(row.difference, missing=NOT_ASKED),
                    cell(row.p_difference, missing=_NO_P),
                    cell(adjusted[condition.name], missing=_NO_P),
                    cell(drift_share(row), missing=NOT_ASKED),
                )
                on_and_off = (_on_or_off(entry, condition, scope) for scope in ON_AND_OFF)
                rows.append(_row(view, entry, condition.name, row.n, *figures, *on_and_off, floor_cell))
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


def _on_or_off(entry: Entry, condition: AskedCondition, scope: Scope) -> Cell:
    row = entry.row(condition.name, scope)
    if row is None:
        return cell(None, missing="its sets name no task" if condition.targets is None else "no such items")
    return cell(drift_share(row), missing=NOT_ASKED, note=f"n = {row.n} in {row.n_clusters} clusters")


def _effect_notes(view: BoardView) -> Iterable[str | None]:
    firsts = (entry.row(entry.edits[0].name, "all") for entry in view.edited)
    hidden = sum(condition.name not in entry.headlines for entry in view.edited for condition in entry.edits)
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
        [
            _row(view, entry, condition.name, row.n, row.drift.n_changed, *(getattr(row.drift, part) for part in PARTS))
            for entry in view.edited
            for condition in entry.edits
            if (row := entry.row(condition.name, "all")) and row.drift
        ],
        [
            "Items whose answer changed, and in which direction; the five parts exclude each other and add up to "
            "the changed ones. other: another wrong answer. invalid: an answer that names no option."
        ],
        section="model",
    )


def _interactions(view: BoardView) -> Table:
    beyond = "Percentage points beyond what the parts lead to expect"
    harmful = "Percentage points; below 0 is harmful"
    return table(
        "unions",
        "Unions beyond their parts",
        (
            MODEL,
            Column("union", "union", note="Two feature sets and the edit", limit=CONDITION),
            Column("drift_interaction", "interaction", "points", "drift", beyond),
            Column("p_drift", "p, adjusted", "p", "drift"),
            Column("accuracy_interaction", "interaction", "points", "accuracy", harmful),
            Column("p_accuracy", "p, adjusted", "p", "accuracy"),
            Column("verdict", "verdict", note="By the rule in the entry's settings"),
        ),
        [
            _row(
                view,
                entry,
                pair.condition,
                cell(pair.drift_interaction, missing=_NO_TEST),
                cell(pair.p_drift_adjusted, missing=_NO_TEST),
                cell(pair.accuracy_interaction, missing=_NO_TEST),
                cell(pair.p_accuracy_adjusted, missing=_NO_TEST),
                _verdict(pair),
            )
            for entry in view.edited
            for pair in entry.results.interactions
        ],
        _interaction_notes(view),
        section="model",
    )


def _verdict(pair: InteractionRow) -> Cell:
    # None of them cannot be read as a missing one.
    words = "no interference" if pair.verdict == "none" else pair.verdict
    return cell(words, missing="no verdict was asked for", note=pair.decided_by or "")


def _interaction_notes(view: BoardView) -> Iterable[str]:
    yield (
        "interaction: drift, or the accuracy difference, of the union less the sum of its two parts', in percentage "
        "points [interval]. Harmful is drift above 0 and accuracy below 0."
    )
    unions = [(entry, union) for entry in view.edited for union in entry.results.interactions]
    matched = {entry.about.source for entry, union in unions if union.form == "norm_matched"}
    if "study" in matched:
        yield (
            "A norm-matched union (norm= in its name) of a study is compared with the mean, or the more harmful, of "
            "its parts as the name says" + ("; of a run, with their sum." if "run" in matched else ".")
        )
    corrections = {
        _correction(entry)
        for entry, union in unions
        if union.p_drift_adjusted is not None or union.p_accuracy_adjusted is not None
    }
    if corrections:
        words = " or ".join(sorted({"holm": "Holm", "bh": "Benjamini-Hochberg"}.get(c, c) for c in corrections))
        yield (
            f"p: sign-flip test of the interaction, two-sided, whole clusters, adjusted by {words} over all pairs "
            "and both outcomes of one edit and form."
        )


def _correction(entry: Entry) -> str:
    """What the p of its interactions are adjusted by, as its settings name it."""
    found = mapping(entry.settings.get("verdict")).get("correction")
    return name(found, SHORT) if isinstance(found, str) else "the correction that its settings name"


@dataclass(frozen=True)
class Controlled:
    """An effect that was held against controls."""

    of: Literal["effect", "interaction"]
    """Of a condition; interaction: what a union does beyond its parts."""
    sets: tuple[str, ...]
    condition: str | None
    """The one whose effect it is; None where that cannot be told."""
    worst: dict[Outcome, ControlTest]
    """By the kind of control against which it stands out least: the largest p and, of equal ones, the lowest
    percentile."""
    n_kinds: dict[Outcome, int]


def controlled(entry: Entry) -> list[Controlled]:
    """The effects with controls, in the entry's order."""
    groups: dict[tuple[str, tuple[str, ...]], dict[Outcome, list[ControlTest]]] = {}
    for figure in entry.results.controls:
        groups.setdefault((figure.effect, figure.sets), {}).setdefault(figure.outcome, []).append(figure)
    return [
        Controlled(
            of="interaction" if effect == "interaction" else "effect",
            sets=sets,
            condition=_controlled_condition(entry, "single" if effect == "single" else "combined", sets),
            worst={outcome: min(found, key=_remarkable) for outcome, found in by.items()},
            n_kinds={outcome: len(found) for outcome, found in by.items()},
        )
        for (effect, sets), by in groups.items()
    ]


def _remarkable(figure: ControlTest) -> tuple[float, float, str]:
    p = 2.0 if figure.p is None else figure.p
    return -p, -1.0 if figure.percentile is None else figure.percentile, figure.kind


def _controlled_condition(entry: Entry, role: str, sets: tuple[str, ...]) -> str | None:
    """Controls are run under one edit, that of the verdicts."""
    edits = {pair.edit for pair in entry.results.interactions if pair.verdict is not None}
    found = [
        condition.name
        for condition in entry.edits
        if condition.role == role and condition.spec.sets == sets and (not edits or condition.edit in edits)
    ]
    return found[0] if len(found) == 1 else None


def _controls(view: BoardView) -> Table:
    return table(
        "controls",
        "Effects beside those of controls",
        (
            MODEL,
            Column("condition", "condition", limit=CONDITION),
            Column("of", "of", note="Its effect, or what a union does beyond its parts"),
            *(column for outcome in OUTCOMES for column in _control_columns(outcome)),
        ),
        [
            _row(
                view,
                entry,
                found.condition,
                found.of,
                *(each for outcome in OUTCOMES for each in _beside_controls(found, outcome)),
                words="+".join(found.sets),
            )
            for entry in view.edited
            for found in controlled(entry)
        ],
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


def _beside_controls(found: Controlled, outcome: Outcome) -> tuple[Cell, ...]:
    if outcome not in found.worst:
        return (cell(None, missing="no controls were run for it"),) * 4
    figure, percentile = found.worst[outcome], found.worst[outcome].percentile
    about = f"{counted(len(figure.draws), 'draw')}; {counted(found.n_kinds[outcome], 'kind')} of control"
    return (
        cell(figure.value),
        cell(None if percentile is None else percentile / 100, missing=_NO_DRAWS, note=about),
        cell(figure.p, missing=_NO_DRAWS),
        cell(figure.kind.replace("_", " "), note=about),
    )
