"""results.json of a run, every row of figures, and its tables: drawn in the terminal and written to results.md.

results.json holds nothing that changes from one run of the same spec to the next (no times, no machine), so a resumed
run writes the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from rich.console import Console

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.official import OfficialRow
from vsc_eval.analysis.rows import Row, find_row
from vsc_eval.records import Record
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.stats import Drift
from vsc_eval.stats.drift import PARTS
from vsc_eval.tables import clean
from vsc_eval.tables.console import draw
from vsc_eval.tables.formats import to_markdown
from vsc_eval.tables.numbers import UNDEFINED, percent
from vsc_eval.tables.table import Cell, Table, Value, by_columns, cell, columns, methods_note, table
from vsc_eval.taskfiles.schema import DataReport

_CONDITIONS_SHOWN = 6
"""Conditions that get a column of their own."""

_MANY_INVALID = 0.2
"""Share of unreadable baseline answers from which a note says so."""


class Results(Record):
    """The whole of results.json."""

    schema_version: Literal[2] = 2
    model: str
    model_fingerprint: str
    intervention: str | None
    scoring: str
    seed: int
    conditions: tuple[ConditionSpec, ...]
    targets: dict[str, tuple[str, ...] | None]
    """Condition -> the tasks that its sets were selected for; None where a set names none."""
    rows: tuple[Row, ...]
    interactions: tuple[InteractionRow, ...]
    official: tuple[OfficialRow, ...] = ()
    data: tuple[DataReport, ...] = ()
    """What became of the rows of external data sets."""

    def find(self, condition: str, scope: Scope, task: str | None = None, level: str | None = None) -> Row | None:
        """The row of that condition and group (no category), None if there is none."""
        return find_row(self.rows, condition, scope, task, level)


def condition_table(results: Results) -> Table:
    """Per condition: accuracy, share of unreadable answers, difference and drift with intervals, drift on and off
    target."""
    by_name = {row.condition: row for row in results.rows if row.scope == "all"}
    whole, rows = by_name[BASELINE], by_name.values()
    methods = methods_note(row.drift.share.method for row in rows if row.drift)
    unreadable: list[Any] = [("inv %", "percent", [row.invalid_rate for row in rows])]
    return by_columns(
        "conditions",
        f"{results.model}: {whole.n} items in {whole.n_clusters} clusters, scoring {results.scoring}",
        ("condition", "name", by_name),
        ("acc %", "percent", [row.accuracy.value for row in rows]),
        *(unreadable if results.scoring == "generate" else ()),
        ("diff [95% CI]", "points", [row.difference for row in rows]),
        ("drift % [95% CI]", "percent", [row.drift.share if row.drift else None for row in rows]),
        ("on % (n)", "percent", [_drift_share(results.find(name, "on_target")) for name in by_name]),
        ("off % (n)", "percent", [_drift_share(results.find(name, "off_target")) for name in by_name]),
        notes=[
            f"n = {whole.n}. {f'{methods} ' if methods else ''}diff: percentage points against the baseline, paired. "
            "drift: share of answers that changed; on / off: on the tasks of the edited sets / on all others.",
            f"{percent(whole.invalid_rate)}% of the baseline's answers name no option: accuracy and drift say little "
            "here. See lm_eval/baseline for the texts; --scoring loglikelihood needs none."
            if whole.invalid_rate >= _MANY_INVALID
            else None,
            null_note(by_name),
            *(note for report in results.data for note in report.notes()),
        ],
    )


def _drift_share(row: Row | None) -> Cell | None:
    return None if row is None or row.drift is None else cell(row.drift.share.value, suffix=f" ({row.n})")


def interaction_table(results: Results) -> Table:
    """Combined edits against their parts."""
    rows = results.interactions
    return by_columns(
        "interactions",
        "Combined edits of two sets: what they do beyond their parts (percentage points)",
        ("combined edit", "name", [row.condition for row in rows]),
        ("drift − parts", "points", [row.drift_interaction for row in rows]),
        ("drift − Bliss", "points", [row.drift_bliss for row in rows]),
        ("diff − parts", "points", [row.accuracy_interaction for row in rows]),
        notes=[
            methods_note(row.drift.method for row in rows),
            "Parts: their sum; of a norm-matched combined edit the mean, or the extreme, as its norm was matched.",
        ],
    )


def cell_table(results: Results) -> Table:
    """Accuracy of the baseline, tasks down and levels across."""
    rows = [row for row in results.rows if row.condition == BASELINE]
    sizes = {row.n for row in rows if row.scope == "cell"}
    size = f", n = {sizes.pop()} a cell" if len(sizes) == 1 else ""
    tasks = [str(row.task) for row in rows if row.scope == "task"]
    levels = [str(row.level) for row in rows if row.scope == "level"]

    def accuracy(scope: Scope, task: str | None = None, level: str | None = None) -> Value:
        row = results.find(BASELINE, scope, task, level)
        return None if row is None else row.accuracy.value

    cells = [(task, *(accuracy("cell", task, level) for level in levels), accuracy("task", task)) for task in tasks]
    heads = columns(("task", "name"), *((level, "percent") for level in levels), ("all", "percent"))
    margins = ("all", *(accuracy("level", None, level) for level in levels), accuracy("all"))
    return table("cells", f"Accuracy % of {BASELINE}{size}", heads, [*cells, margins])


def category_table(results: Results) -> Table:
    """Accuracy of each condition on the categories and groups of external data sets."""
    names = [condition.name for condition in results.conditions][:_CONDITIONS_SHOWN]
    parts = [row for row in results.rows if row.condition == BASELINE and row.scope in ("category", "group")]
    cells = {(r.condition, r.scope, r.task, r.by, r.category): r.accuracy.value for r in results.rows}
    words = [f"{row.by}={row.category}" if row.scope == "category" else "whole groups" for row in parts]
    return by_columns(
        "categories",
        "Accuracy % by category and group",
        ("part", "name", [f"{row.task} {part}" for row, part in zip(parts, words, strict=True)]),
        ("n", "count", [row.n for row in parts]),
        *((name, "percent", [cells[name, r.scope, r.task, r.by, r.category] for r in parts]) for name in names),
        notes=[_left_note(results, names)],
    )


def official_table(results: Results) -> Table:
    """The official figures of external data sets by condition."""
    names = [condition.name for condition in results.conditions][:_CONDITIONS_SHOWN]
    rows = [row for row in results.official if row.condition == BASELINE]
    cells = {(row.condition, row.task, row.figure): row.value for row in results.official}
    return by_columns(
        "official",
        "Official metrics, % [95% CI]",
        ("figure", [f"{row.task} {row.figure}{' *' if row.is_main else ''}" for row in rows]),
        ("n", "text", [f"{row.value.n_items} {row.unit}" for row in rows]),
        *((name, "percent", [cells.get((name, row.task, row.figure)) for row in rows]) for name in names),
        notes=[
            "*: the figure that the data set is known by. Differences from the baseline are in results.json.",
            _left_note(results, names),
        ],
    )


def _left_note(results: Results, shown: list[str]) -> str | None:
    left = len(results.conditions) - len(shown)
    return f"{left} more conditions are in results.json." if left else None


def all_tables(results: Results) -> list[Table]:
    """Every table that has rows, in the order they are shown."""
    edited = {row.condition: row for row in results.rows if row.scope == "all" and row.condition != BASELINE}
    tables = (
        condition_table(results),
        parts_table(edited, "Drift and its parts (items)", "not corrected for the number of conditions."),
        interaction_table(results),
        readings_table(edited, "Distribution and activations (means over items)"),
        cell_table(results),
        category_table(results),
        official_table(results),
    )
    return [found for found in tables if found.rows]


def print_tables(results: Results, console: Console) -> None:
    """Draw all tables in the terminal."""
    for found in all_tables(results):
        draw(found, console)


def markdown(results: Results) -> str:
    """results.md."""
    return "\n".join([f"# {clean.markdown(results.model)}\n", *map(to_markdown, all_tables(results))])


Rows = Mapping[str, Row]
"""What a row is called -> a row of figures on all items."""

PARTS_NOTE = "R right, W wrong, W' another wrong answer, inv invalid."
_PART_HEADS = ("R→W", "W→R", "W→W'", "→inv", "inv→")
_READING_HEADS = {
    "mean_kl_options": "KL options",
    "mean_kl_vocab": "KL vocab",
    "mean_margin_change": "gold margin",
    "mean_shift_edited": "shift edited",
    "mean_shift_last": "shift last",
    "amplification": "amplification",
}


def part_columns(drifts: Sequence[Drift]) -> Iterator[tuple[Any, ...]]:
    """The parts of drifts in items."""
    for head, part in zip(_PART_HEADS, PARTS, strict=True):
        yield head, "count", [getattr(drift, part) for drift in drifts]


def parts_table(rows: Rows, title: str, note: str) -> Table:
    """The parts of each drift in items, and McNemar's test; rows without a drift are left out."""
    shown = [(name, row.drift, row.mcnemar) for name, row in rows.items() if row.drift and row.mcnemar]
    return by_columns(
        "parts",
        title,
        ("condition", "name", [name for name, *_ in shown]),
        ("changed", "count", [drift.n_changed for _, drift, _ in shown]),
        *part_columns([drift for _, drift, _ in shown]),
        ("McNemar p", "p", [cell(test.p_value, missing=test.reason or "") for _, _, test in shown]),
        notes=[f"{PARTS_NOTE} McNemar: exact, two-sided, items taken as independent, {note}"],
    )


def readings_table(rows: Rows, title: str) -> Table:
    """What happened to distributions and activations, means over items."""
    values = {head: [getattr(row, reading) for row in rows.values()] for reading, head in _READING_HEADS.items()}
    return by_columns(
        "readings",
        title,
        ("condition", "name", rows),
        *((head, "decimal", column) for head, column in values.items()),
        notes=[
            "KL(baseline || condition) in nats at the first answer token; gold margin: change of the right option's "
            "log-probability less the largest other, nats; shift: ||h' - h|| / ||h|| at the edited and at the last "
            "layer; amplification: last over edited. No intervals: these describe, they do not test.",
            f"{UNDEFINED}: no item has this figure, or the edited shift is zero."
            if any(None in column for column in values.values())
            else None,
        ],
    )


def null_note(rows: Rows) -> str | None:
    """What intervals around zero can and cannot say."""
    found = [
        f"{name} {100 * row.detectable_difference:.1f}"
        for name, row in rows.items()
        if row.difference is not None and row.detectable_difference is not None and row.difference.holds_zero
    ]
    return f"No difference shown; power 0.8 to find one of at least (points): {', '.join(found)}." if found else None
