"""The tables of a sweep, once as rows of text and drawn twice: in the terminal by rich and in results.md."""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vsc_eval.analysis.results import Results
from vsc_eval.analysis.rows import Row
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure

NONE = "–"

_CONDITIONS_SHOWN = 6
"""Conditions that get a column of their own."""

_MANY_INVALID = 0.2
"""Share of unreadable baseline answers from which a note says so."""


@dataclass(frozen=True)
class TextTable:
    """A table of strings; the first column is words, the others figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def condition_table(results: Results) -> TextTable:
    """Per condition: accuracy, share of unreadable answers, difference and drift with intervals, drift on and off
    target."""
    reads_text = results.scoring == "generate"
    rows = []
    for condition in results.conditions:
        row = _whole(results, condition.name)
        on, off = results.find(condition.name, "on_target"), results.find(condition.name, "off_target")
        drift = percent_with_interval(row.drift.share) if row.drift else NONE
        invalid = (percent(row.invalid_rate),) if reads_text else ()
        shares = (drift, _drift_share(on), _drift_share(off))
        rows.append((condition.name, percent(row.accuracy.value), *invalid, points(row.difference), *shares))
    whole = _whole(results, BASELINE)
    return TextTable(
        title=f"{results.model}: {whole.n} items in {whole.n_clusters} clusters, scoring {results.scoring}",
        columns=(
            *("condition", "acc %", *(("inv %",) if reads_text else ())),
            *("diff [95% CI]", "drift % [95% CI]", "on % (n)", "off % (n)"),
        ),
        rows=tuple(rows),
        notes=(
            f"n = {whole.n}{_method(results)}. diff: percentage points against the baseline, paired. "
            "drift: share of answers that changed; on / off: on the tasks of the edited sets / on all others.",
            *_invalid_notes(whole),
            *_null_notes(results),
            *(note for report in results.data for note in report.notes()),
        ),
    )


def _method(results: Results) -> str:
    """Which intervals the table shows; those of differences and of drift are of one kind."""
    methods = dict.fromkeys(row.drift.share.method for row in results.rows if row.scope == "all" and row.drift)
    return f"; intervals: {', '.join(methods)}" if methods else ""


def _invalid_notes(baseline: Row) -> list[str]:
    if baseline.invalid_rate < _MANY_INVALID:
        return []
    return [
        f"{percent(baseline.invalid_rate)}% of the baseline's answers name no option: accuracy and drift say little "
        "here. See lm_eval/baseline for the texts; --scoring loglikelihood needs none."
    ]


def _null_notes(results: Results) -> list[str]:
    """What an interval around zero, or none, can and cannot say."""
    found: list[str] = []
    undefined: dict[str | None, list[str]] = {}
    for condition in results.conditions:
        row = _whole(results, condition.name)
        difference, detectable = row.difference, row.detectable_difference
        if difference is None:
            continue
        if difference.low is None or difference.high is None:
            undefined.setdefault(difference.reason, []).append(condition.name)
        elif difference.low <= 0 <= difference.high and detectable is not None:
            found.append(f"{condition.name} {100 * detectable:.1f}")
    notes = []
    if found:
        notes.append(f"No difference shown; power 0.8 to find one of at least (points): {', '.join(found)}.")
    for reason, names in undefined.items():
        notes.append(f"No interval of the difference, since {reason}: {', '.join(names)}.")
    return notes


def parts_table(results: Results) -> TextTable | None:
    """Per condition: the parts of its drift in items, and McNemar's test; None for a run of the baseline alone."""
    rows = []
    for condition in results.conditions:
        row = _whole(results, condition.name)
        if row.drift is None or row.mcnemar is None:
            continue
        drift, p = row.drift, row.mcnemar.p_value
        counts = (
            drift.n_changed,
            drift.right_to_wrong,
            drift.wrong_to_right,
            drift.wrong_to_other,
            drift.to_invalid,
            drift.from_invalid,
        )
        rows.append((condition.name, *map(str, counts), NONE if p is None else f"{p:.2g}"))
    if not rows:
        return None
    return TextTable(
        title="Drift and its parts (items)",
        columns=("condition", "changed", "R→W", "W→R", "W→W'", "→inv", "inv→", "McNemar p"),
        rows=tuple(rows),
        notes=(
            "R right, W wrong, W' another wrong answer, inv invalid. McNemar: exact, two-sided, items taken as "
            "independent, not corrected for the number of conditions.",
        ),
    )


def shift_table(results: Results) -> TextTable | None:
    """Per condition: what happened to distributions and activations; None for a run of the baseline alone."""
    rows = []
    for condition in results.conditions:
        row = results.find(condition.name, "all")
        if row is None or condition.is_baseline:
            continue
        figures = (
            row.mean_kl_options,
            row.mean_kl_vocab,
            row.mean_margin_change,
            row.mean_shift_edited,
            row.mean_shift_last,
            row.amplification,
        )
        rows.append((condition.name, *(NONE if f is None else f"{f:.4f}" for f in figures)))
    if not rows:
        return None
    return TextTable(
        title="Distribution and activations (means over items)",
        columns=("condition", "KL options", "KL vocab", "gold margin", "shift edited", "shift last", "amplification"),
        rows=tuple(rows),
        notes=(
            "KL(baseline || condition) in nats at the first answer token; gold margin: change in nats; shift: "
            "||h' - h|| / ||h|| at the edited and at the last layer; amplification: their ratio.",
        ),
    )


def interaction_table(results: Results) -> TextTable | None:
    """Combined edits against their parts; None where none has both parts in the run."""
    if not results.interactions:
        return None
    return TextTable(
        title="Unions of two sets: what they do beyond their parts (percentage points)",
        columns=("union", "drift − parts", "drift − Bliss", "diff − parts"),
        rows=tuple(
            (
                row.condition,
                points(row.drift_interaction),
                points(row.drift_bliss),
                points(row.accuracy_interaction),
            )
            for row in results.interactions
        ),
        notes=(
            f"{results.interactions[0].drift.method}. Parts: their sum; of a norm-matched union the mean, or the "
            "extreme, as its norm was matched.",
        ),
    )


def cell_table(results: Results, condition: str = BASELINE) -> TextTable:
    """Accuracy of one condition, tasks down and levels across."""
    cells = [row for row in results.rows if row.condition == condition]
    tasks = [row.task for row in cells if row.scope == "task"]
    levels = [row.level for row in cells if row.scope == "level"]
    rows = []
    for task in tasks:
        shares = [_accuracy(results.find(condition, "cell", task, level)) for level in levels]
        rows.append((str(task), *shares, _accuracy(results.find(condition, "task", task))))
    last = [_accuracy(results.find(condition, "level", None, level)) for level in levels]
    rows.append(("all", *last, _accuracy(results.find(condition, "all"))))
    first = next((row for row in cells if row.scope == "cell"), None)
    size = f", n = {first.n} a cell" if first and len({row.n for row in cells if row.scope == "cell"}) == 1 else ""
    return TextTable(
        title=f"Accuracy % of {condition}{size}",
        columns=("task", *map(str, levels), "all"),
        rows=tuple(rows),
    )


def category_table(results: Results) -> TextTable | None:
    """Accuracy of each condition on the categories and groups of external data sets; None where there are none."""
    shown = [condition.name for condition in results.conditions][:_CONDITIONS_SHOWN]
    parts = [row for row in results.rows if row.condition == BASELINE and row.scope in ("category", "group")]
    if not parts:
        return None
    cells = {(r.condition, r.scope, r.task, r.by, r.category): percent(r.accuracy.value) for r in results.rows}
    rows = []
    for row in parts:
        name = f"{row.by}={row.category}" if row.scope == "category" else "whole groups"
        place = (row.scope, row.task, row.by, row.category)
        rows.append((f"{row.task} {name}", str(row.n), *(cells[condition, *place] for condition in shown)))
    left = len(results.conditions) - len(shown)
    return TextTable(
        title="Accuracy % by category and group",
        columns=("part", "n", *shown),
        rows=tuple(rows),
        notes=(f"{left} more conditions are in results.json.",) if left else (),
    )


def official_table(results: Results) -> TextTable | None:
    """The official figures of external data sets by condition; None where no task has them."""
    shown = [condition.name for condition in results.conditions][:_CONDITIONS_SHOWN]
    own = [row for row in results.official if row.condition == BASELINE]
    if not own:
        return None
    cells = {(row.condition, row.task, row.figure): row for row in results.official}
    rows = []
    for row in own:
        values = []
        for condition in shown:
            found = cells.get((condition, row.task, row.figure))
            values.append(NONE if found is None else percent_with_interval(found.value))
        label = f"{row.task} {row.figure}{' *' if row.is_main else ''}"
        rows.append((label, f"{row.value.n_items} {row.unit}", *values))
    left = len(results.conditions) - len(shown)
    return TextTable(
        title="Official metrics, % [95% CI]",
        columns=("figure", "n", *shown),
        rows=tuple(rows),
        notes=(
            "*: the figure that the data set is known by. Differences from the baseline are in results.json.",
            *((f"{left} more conditions are in results.json.",) if left else ()),
        ),
    )


def all_tables(results: Results) -> list[TextTable]:
    """Every table, in the order they are shown."""
    tables = (
        condition_table(results),
        parts_table(results),
        interaction_table(results),
        shift_table(results),
        cell_table(results),
        category_table(results),
        official_table(results),
    )
    return [table for table in tables if table is not None]


def print_tables(results: Results, console: Console) -> None:
    """Draw all tables in the terminal."""
    for text in all_tables(results):
        draw(text, console)


def draw(text: TextTable, console: Console) -> None:
    """Draw one table in the terminal, its notes below it."""
    table = Table(
        title=escape(text.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for i, column in enumerate(text.columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    for row in text.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for note in text.notes:
        console.print(note, style="dim", markup=False, highlight=False)
    console.print()


def markdown(results: Results) -> str:
    """results.md."""
    return "\n".join([f"# {results.model}\n", *(markdown_table(text) for text in all_tables(results))])


def markdown_table(text: TextTable) -> str:
    """One table under its title, its notes below it."""
    head = " | ".join(column.replace("|", "\\|") for column in text.columns)
    rule = " | ".join(["---"] + ["---:"] * (len(text.columns) - 1))
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in text.rows)
    notes = [note.replace("|", "\\|") + "\n" for note in text.notes]
    return "\n".join([f"## {text.title}\n\n| {head} |\n| {rule} |\n{body}\n", *notes])


def percent(share: float | None) -> str:
    """A share in percent with one digit."""
    return NONE if share is None else f"{100 * share:.1f}"


def points(figure: Figure | None) -> str:
    """A signed difference in percentage points with its interval."""
    if figure is None or figure.value is None:
        return NONE
    interval = "" if figure.low is None or figure.high is None else f" [{_signed(figure.low)}, {_signed(figure.high)}]"
    return f"{_signed(figure.value)}{interval}"


def _signed(share: float) -> str:
    """In points. Adding 0 takes the sign off what rounds to zero."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def percent_with_interval(figure: Figure) -> str:
    """A share in percent with its interval."""
    interval = "" if figure.low is None or figure.high is None else f" [{percent(figure.low)}, {percent(figure.high)}]"
    return percent(figure.value) + interval


def _whole(results: Results, condition: str) -> Row:
    row = results.find(condition, "all")
    assert row is not None, condition
    return row


def _accuracy(row: Row | None) -> str:
    return NONE if row is None else percent(row.accuracy.value)


def _drift_share(row: Row | None) -> str:
    return NONE if row is None or row.drift is None else f"{percent(row.drift.share.value)} ({row.n})"
