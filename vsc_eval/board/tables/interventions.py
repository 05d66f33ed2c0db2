"""The intervention board: what every condition did to accuracy and to answers, what combined edits do beyond their
parts, and effects beside those of controls. Tables and CSV show the same records."""

from collections.abc import Iterable, Iterator, Sequence

from vsc_eval.analysis.controls import ControlTest, Outcome
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.board.board import Board
from vsc_eval.board.records import Entry, drift_share, mapping
from vsc_eval.board.tables.baseline import COUNTS, MODEL, N_ITEMS, NOT_ASKED, Record, copied, flat, who
from vsc_eval.stats import adjust
from vsc_eval.stats.drift import PARTS
from vsc_eval.studies.words import CORRECTION_WORDS
from vsc_eval.tables.clean import CONDITION, SHORT, name
from vsc_eval.tables.numbers import counted
from vsc_eval.tables.table import Cell, Column, Data, Table, TableRow, cell, methods_note, table

OUTCOMES: tuple[Outcome, ...] = ("drift", "accuracy")
EFFECTS = ("effect", "interaction")
"""What is held against controls: what a condition does, and what a combined edit does beyond its parts."""
_FIGURES = (
    *("accuracy", "difference", "drift", "on_target_drift", "off_target_drift", "floor_drift"),
    *("drift_interaction", "drift_bliss", "accuracy_interaction"),
)
"""Keys of what has an interval."""
_CONTROL = [f"{on}_control_{part}" for on in OUTCOMES for part in ("kind", "value", "percentile", "p", "draws")]
_MEANS = ("mean_kl_options", "mean_margin_change", "mean_shift_edited", "mean_shift_last", "amplification")

_CONDITION = Column("condition", "condition", note="Feature sets and edit", limit=CONDITION)
_PARTS = {
    "right_to_wrong": "right→wrong",
    "wrong_to_right": "wrong→right",
    "wrong_to_other": "wrong→other",
    "to_invalid": "→invalid",
    "from_invalid": "invalid→",
}
assert tuple(_PARTS) == PARTS
_PERCENTILE = "Share of draws that are less harmful, %"
_BEYOND = "Percentage points beyond what the parts lead to expect"

_COLUMNS = {
    "effects": (
        MODEL,
        _CONDITION,
        N_ITEMS,
        Column("difference", "difference", "points", "accuracy", "Against the baseline, percentage points"),
        Column("p_difference", "p, unadjusted", "p", "accuracy"),
        Column("p_difference_holm", "p, Holm", "p", "accuracy", "Adjusted over all conditions of the entry"),
        Column("drift", "all", "percent", "drift", "Share of answers that changed"),
        Column("on_target_drift", "on target", "percent", "drift", "On the tasks that the sets were selected for"),
        Column("off_target_drift", "off target", "percent", "drift", "On all other tasks"),
        Column("floor_drift", "floor", "percent", "drift", "Largest drift where nothing was done"),
    ),
    "parts": (
        MODEL,
        _CONDITION,
        N_ITEMS,
        Column("n_changed", "changed", "count", note="Answers that differ from the baseline's"),
        *(Column(part, heading, "count") for part, heading in _PARTS.items()),
    ),
    "combined": (
        MODEL,
        Column("condition", "combined edit", note="Two feature sets and the edit", limit=CONDITION),
        Column("drift_interaction", "interaction", "points", "drift", _BEYOND),
        Column("p_drift_interaction_adjusted", "p, adjusted", "p", "drift"),
        Column("accuracy_interaction", "interaction", "points", "accuracy", "Percentage points; below 0 is harmful"),
        Column("p_accuracy_interaction_adjusted", "p, adjusted", "p", "accuracy"),
        Column("verdict", "verdict", note="By the rule in the entry's settings"),
    ),
    "controls": (
        MODEL,
        Column("condition", "condition", limit=CONDITION),
        Column("of", "of", note="Its effect, or what a combined edit does beyond its parts"),
        *(
            column
            for on in OUTCOMES
            for column in (
                Column(f"{on}_control_value", "value", "points", on),
                Column(f"{on}_control_percentile", "pctl", "decimal", on, _PERCENTILE, digits=1),
                Column(f"{on}_control_p", "p", "p", on, "Unadjusted"),
                Column(f"{on}_control_kind", "worst control", "text", on),
            )
        ),
    ),
}
_TITLES = {
    "effects": "Interventions",
    "parts": "Parts of the drift",
    "combined": "Combined edits beyond their parts",
    "controls": "Effects beside those of controls",
}
_MISSING = {
    **dict.fromkeys(("difference", "drift", "on_target_drift", "off_target_drift"), NOT_ASKED),
    "floor_drift": "no noise floor was measured",
    **dict.fromkeys(("p_difference", "p_difference_holm"), "no item is right under one of the two only"),
    **{f"{on}_interaction": "no test was made" for on in OUTCOMES},
    **{f"p_{on}_interaction_adjusted": "no test was made" for on in OUTCOMES},
    "verdict": "no verdict was asked for",
}
"""Column -> why a cell that gives no reason itself is empty."""


def intervention_tables(board: Board) -> tuple[tuple[Table, ...], Data]:
    """`effects`, `parts`, `combined`, `controls`, those for which some entry has figures; and the figures of CSV, a row
    for each condition of each entry, on all its items."""
    records: list[Record] = []
    shown: dict[str, list[Record]] = {key: [] for key in _COLUMNS}
    for entry in board.edited:
        own = {record["condition"]: record for record in _records(board, entry)}
        pairs = [(own[pair.condition], pair) for pair in entry.results.interactions if pair.condition in own]
        records += own.values()
        shown["effects"] += own.values()
        shown["parts"] += [record for record in own.values() if record["n_changed"] is not None]
        shown["combined"] += [record | {"verdict": _verdict(pair)} for record, pair in pairs]
        shown["controls"] += _control_records(board, entry)
    notes: dict[str, Iterable[str | None]] = {
        "effects": _effect_notes(board),
        "parts": [
            "Items whose answer changed, and in which direction; the five parts exclude each other and add up to "
            "the changed ones. other: another wrong answer. invalid: an answer that names no option."
        ],
        "combined": _interaction_notes(board),
        "controls": [
            "value: drift, or the accuracy difference, on the items of the controls, in percentage points. pctl: share "
            "of control draws that are less harmful, ties half, in percent; p = (1 + draws at least as harmful) / (1 + "
            "draws), unadjusted. Of several kinds of control, the one against which the effect stands out least: the "
            "largest p and, of equals, the lowest percentile."
        ],
    }
    tables = (
        table(key, _TITLES[key], columns, _rows(columns, shown[key]), notes[key], section="model")
        for key, columns in _COLUMNS.items()
        if shown[key]
    )
    return tuple(tables), flat(records, _FIGURES)


def _rows(columns: Sequence[Column], records: Iterable[Record]) -> Iterator[TableRow]:
    for record in records:
        yield TableRow.of(
            (cell(record[column.key], missing=_MISSING.get(column.key, "")) for column in columns),
            entries=(record["entry"],),
            is_headline=bool(record["is_headline"]),
            condition=record.get("link", record["condition"]),
        )


def _records(board: Board, entry: Entry) -> Iterator[Record]:
    """Of each edit that has figures on all items; the keys are in the order of the CSV's columns."""
    rows = {condition.name: entry.row(condition.name, "all") for condition in entry.edits}
    adjusted = adjust([row.p_difference if row else None for row in rows.values()])
    pairs = {pair.condition: pair for pair in entry.results.interactions}
    controls = {(found["condition"], found["of"]): found for found in controlled(entry)}
    known = [floor for floor in entry.results.floor if floor.drift.value is not None]
    floor = max(known, key=lambda floor: floor.drift.value or 0.0, default=None)
    made = entry.about.intervention
    floor_note = f"{name(floor.name, CONDITION)}: {floor.n_changed} answers" if floor else ""
    floor_drift = cell(floor.drift if floor else None, missing=_MISSING["floor_drift"], note=floor_note)
    for condition, p_holm in zip(entry.edits, adjusted, strict=True):
        row, pair = rows[condition.name], pairs.get(condition.name)
        if row is None:
            continue
        record = who(entry, board.labels[entry.id]) | {
            "intervention": made.name if made else None,
            "layer": made.layer if made else None,
            "condition": condition.name,
            "role": condition.role,
            "sets": "+".join(condition.spec.sets),
            "edit": condition.edit,
            "targets": None if condition.targets is None else "+".join(condition.targets),
            "is_headline": int(condition.name in entry.headlines),
            **copied(row, *COUNTS, "method", "accuracy", "difference", "p_difference"),
            "p_difference_holm": p_holm,
            "detectable_difference": row.detectable_difference,
            "drift": drift_share(row),
            **copied(row.drift, "n_changed", *PARTS),
            **_on_or_off(entry, condition, "on_target"),
            **_on_or_off(entry, condition, "off_target"),
            **copied(floor, "name", "n_changed", start="floor_"),
            "floor_drift": floor_drift,
            **copied(pair, "form", "drift_interaction", "drift_bliss", "accuracy_interaction"),
            "p_drift_interaction_adjusted": pair.p_drift_adjusted if pair else None,
            "p_accuracy_interaction_adjusted": pair.p_accuracy_adjusted if pair else None,
            "verdict": pair.verdict if pair else None,
        }
        for of in EFFECTS:
            own = controls.get((condition.name, of), {})
            record |= {f"{of}_{key}": own.get(key) for key in _CONTROL}
        yield record | copied(row, *_MEANS)


def _on_or_off(entry: Entry, condition: AskedCondition, scope: Scope) -> Record:
    row = entry.row(condition.name, scope)
    if row is None:
        why = "its sets name no task" if condition.targets is None else "no such items"
        return {f"{scope}_n": None, f"{scope}_drift": cell(None, missing=why)}
    about = f"n = {row.n} in {row.n_clusters} clusters"
    return {f"{scope}_n": row.n, f"{scope}_drift": cell(drift_share(row), missing=NOT_ASKED, note=about)}


def _verdict(pair: InteractionRow) -> Cell:
    # None of them cannot be read as a missing one.
    words = "no interference" if pair.verdict == "none" else pair.verdict
    return cell(words, missing=_MISSING["verdict"], note=pair.decided_by or "")


def _effect_notes(board: Board) -> Iterable[str | None]:
    firsts = (entry.row(entry.edits[0].name, "all") for entry in board.edited)
    hidden = sum(condition.name not in entry.headlines for entry in board.edited for condition in entry.edits)
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


def _interaction_notes(board: Board) -> Iterable[str]:
    yield (
        "interaction: drift, or the accuracy difference, of the combined edit less the sum of its two parts', in "
        "percentage points [interval]. Harmful is drift above 0 and accuracy below 0."
    )
    pairs = [(entry, pair) for entry in board.edited for pair in entry.results.interactions]
    if any(pair.form == "norm_matched" for _, pair in pairs):
        yield (
            "A norm-matched combined edit (norm= in its name) is compared with the mean, or the more harmful, of its "
            "parts, as the name says."
        )
    tested = (entry for entry, pair in pairs if (pair.p_drift_adjusted, pair.p_accuracy_adjusted) != (None, None))
    if corrections := set(map(_correction, tested)):
        yield (
            f"p: sign-flip test of the interaction, two-sided, whole clusters, adjusted by "
            f"{' or '.join(sorted(corrections))} over all pairs and both outcomes of one edit and form."
        )


def _correction(entry: Entry) -> str:
    """What the p of its interactions are adjusted by, as its settings name it."""
    found = mapping(entry.settings.get("verdict")).get("correction")
    if not isinstance(found, str):
        return "the correction that its settings name"
    return CORRECTION_WORDS.get(found) or name(found, SHORT)


def controlled(entry: Entry) -> list[Record]:
    """The effects that were held against controls, in the entry's order: of each outcome the figures beside the kind of
    control against which it stands out least, by the largest p and, of equal ones, the lowest percentile."""
    groups: dict[tuple[str, tuple[str, ...]], dict[Outcome, list[ControlTest]]] = {}
    for test in entry.results.controls:
        groups.setdefault((test.effect, test.sets), {}).setdefault(test.outcome, []).append(test)
    records = []
    for (effect, sets), by in groups.items():
        condition = _controlled_condition(entry, "single" if effect == "single" else "combined", sets)
        record: Record = {
            "of": "interaction" if effect == "interaction" else "effect",
            "condition": condition,
            "sets": sets,
        }
        for on in OUTCOMES:
            worst = min(by.get(on, ()), key=_remarkable, default=None)
            record |= copied(worst, "kind", "value", "percentile", "p", start=f"{on}_control_")
            record |= {f"{on}_control_draws": len(worst.draws) if worst else None, f"{on}_n_kinds": len(by.get(on, ()))}
        records.append(record)
    return records


def _remarkable(test: ControlTest) -> tuple[float, float, str]:
    p = 2.0 if test.p is None else test.p
    return -p, -1.0 if test.percentile is None else test.percentile, test.kind


def _controlled_condition(entry: Entry, role: str, sets: tuple[str, ...]) -> str | None:
    """The one whose effect it is, under the verdicts' edit, as controls are; None where that cannot be told."""
    edits = {pair.edit for pair in entry.results.interactions if pair.verdict is not None}
    asked = (c for c in entry.edits if c.role == role and c.spec.sets == sets and (not edits or c.edit in edits))
    found = [condition.name for condition in asked]
    return found[0] if len(found) == 1 else None


def _control_records(board: Board, entry: Entry) -> Iterator[Record]:
    for found in controlled(entry):
        name = found["condition"]
        is_headline = name is None or name in entry.headlines
        record = {"model": board.labels[entry.id], "entry": entry.id, "is_headline": is_headline, "link": name}
        for on in OUTCOMES:
            draws, kind = found[f"{on}_control_draws"], found[f"{on}_control_kind"]
            about = f"{counted(draws or 0, 'draw')}; {counted(found[f'{on}_n_kinds'], 'kind')} of control"
            missing = "no draws" if kind else "no controls were run for it"
            shown = {**found, f"{on}_control_kind": kind and kind.replace("_", " ")}
            for key in (f"{on}_control_{part}" for part in ("value", "percentile", "p", "kind")):
                record[key] = cell(shown[key], missing=missing, note=about)
        yield {**record, "of": found["of"], "condition": name or "+".join(found["sets"])}
