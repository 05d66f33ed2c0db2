"""The tables of a sweep, once as rows of text and drawn twice: in the terminal by rich and in results.md."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from vsc_eval.harness.results import Figure, ResultRow, Results
from vsc_eval.specs import BASELINE

NONE = "–"


@dataclass(frozen=True)
class TextTable:
    """A table of strings; the first column is words, the others figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def condition_table(results: Results) -> TextTable:
    """Per condition: accuracy, difference with interval, drift with its parts, drift on and off target."""
    rows = []
    for condition in results.conditions:
        row = results.find(condition.name, "all")
        assert row is not None
        on, off = results.find(condition.name, "on_target"), results.find(condition.name, "off_target")
        rows.append(
            (
                condition.name,
                percent(row.accuracy.value),
                points(row.difference),
                *_drift_cells(row),
                _drift_share(on),
                _drift_share(off),
                percent(row.invalid_rate),
            )
        )
    whole = results.find(BASELINE, "all")
    assert whole is not None
    return TextTable(
        title=f"{results.model}: {whole.n} items in {whole.n_clusters} clusters, readout {results.readout}",
        columns=(
            "condition",
            "acc %",
            "diff [95% CI]",
            "McNemar p",
            "drift % [95% CI]",
            "R→W",
            "W→R",
            "W→W'",
            "→inv",
            "inv→",
            "on %",
            "off %",
            "inv %",
        ),
        rows=tuple(rows),
        notes=_notes(results, whole),
    )


def _notes(results: Results, whole: ResultRow) -> tuple[str, ...]:
    notes = [
        f"Accuracy: n = {whole.n}; {whole.accuracy.method}. diff in percentage points against the baseline, paired. "
        "McNemar: exact, two-sided, items taken as independent, not corrected for the number of conditions.",
        "drift: share of answers that changed; R→W right to wrong, W→R wrong to right, W→W' wrong to another wrong, "
        "→inv / inv→ to / from invalid, in items. on / off: drift on the tasks of the edited sets / on the others.",
    ]
    for condition in results.conditions:
        row = results.find(condition.name, "all")
        if row and row.difference and row.difference.low is not None and row.difference.high is not None:
            if row.difference.low <= 0 <= row.difference.high and row.detectable_difference is not None:
                notes.append(
                    f"{condition.name}: no difference shown; {100 * row.detectable_difference:.1f} points or more "
                    "would have been found with power 0.8."
                )
        elif row and row.difference and row.difference.reason:
            notes.append(f"{condition.name}: no interval of the difference, since {row.difference.reason}.")
    return tuple(notes)


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
    """Unions against their parts; None where no union has both parts in the run."""
    if not results.interactions:
        return None
    return TextTable(
        title="Unions of two sets: what they do beyond their parts (percentage points)",
        columns=("union", "drift − sum", "drift − Bliss", "diff − sum"),
        rows=tuple(
            (row.union, points(row.drift), points(row.drift_bliss), points(row.accuracy))
            for row in results.interactions
        ),
        notes=(f"{results.interactions[0].drift.method}.",),
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


def all_tables(results: Results) -> list[TextTable]:
    """Every table, in the order they are shown."""
    tables = (condition_table(results), interaction_table(results), shift_table(results), cell_table(results))
    return [table for table in tables if table is not None]


def print_tables(results: Results, console: Console) -> None:
    """Draw all tables in the terminal."""
    for text in all_tables(results):
        table = Table(title=text.title, title_justify="left", title_style="bold")
        for i, column in enumerate(text.columns):
            table.add_column(column, justify="right" if i else "left", no_wrap=i == 0, overflow="fold")
        for row in text.rows:
            table.add_row(*row)
        console.print(table)
        for note in text.notes:
            console.print(note, style="dim", markup=False, highlight=False)


def markdown(results: Results) -> str:
    """results.md."""
    parts = [f"# {results.model}\n"]
    for text in all_tables(results):
        head = " | ".join(text.columns)
        rule = " | ".join(["---"] + ["---:"] * (len(text.columns) - 1))
        body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in text.rows)
        parts.append(f"## {text.title}\n\n| {head} |\n| {rule} |\n{body}\n")
        parts += [note.replace("|", "\\|") + "\n" for note in text.notes]
    return "\n".join(parts)


def percent(share: float | None) -> str:
    """A share in percent with one digit."""
    return NONE if share is None else f"{100 * share:.1f}"


def points(figure: Figure | None) -> str:
    """A signed difference in percentage points with its interval."""
    if figure is None or figure.value is None:
        return NONE
    interval = (
        "" if figure.low is None or figure.high is None else f" [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
    )
    return f"{100 * figure.value:+.1f}{interval}"


def _accuracy(row: ResultRow | None) -> str:
    return NONE if row is None else percent(row.accuracy.value)


def _drift_share(row: ResultRow | None) -> str:
    return NONE if row is None or row.drift is None else percent(row.drift.share.value)


def _drift_cells(row: ResultRow) -> tuple[str, ...]:
    if row.drift is None or row.mcnemar is None:
        return (NONE,) * 7
    drift, share, p = row.drift, row.drift.share, row.mcnemar.p_value
    interval = "" if share.low is None or share.high is None else f" [{percent(share.low)}, {percent(share.high)}]"
    counts = (drift.right_to_wrong, drift.wrong_to_right, drift.wrong_to_other, drift.to_invalid, drift.from_invalid)
    return (NONE if p is None else f"{p:.2g}", percent(share.value) + interval, *map(str, counts))
