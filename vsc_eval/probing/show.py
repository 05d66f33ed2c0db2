"""Probes shown: what `vsc-eval probe` prints, and the curves of accuracy by layer."""

from pathlib import Path
from typing import Any

from rich.console import Console

from vsc_eval.figures.style import BLUE, GREEN, GREY, PURPLE, VERMILION, bare, new_figure, plain_style, save_png
from vsc_eval.probing.records import (
    CONTROL_WORDS,
    CONTROLS,
    EMBEDDINGS,
    POOLING_WORDS,
    TARGETS,
    Control,
    Pooling,
    ProbingResult,
    Target,
)
from vsc_eval.tables.console import draw, say
from vsc_eval.tables.numbers import decimal
from vsc_eval.tables.table import Cell, Column, Table, table

FIGURE_FILE = "probes.png"

# Markers and dashes of their own: the lines differ without their colours too.
_LOOKS: dict[Control, tuple[str, str, str]] = {
    "real": (BLUE, "-", "o"),
    "text_only": (GREEN, "--", "s"),
    "blank_image": (VERMILION, "-.", "^"),
    "random_labels": (GREY, ":", "x"),
}
_TARGET_TITLES: dict[Target, str] = {"task": "task type", "level": "level"}
_CHOSEN = PURPLE
_MOST_TICKS = 14


def print_result(result: ProbingResult, console: Console) -> None:
    """The table of each target, the chosen layer, what the other poolings would have chosen, and what went wrong."""
    for target in TARGETS:
        draw(probe_table(result, target), console)
    say(f"Chosen {result.chosen_by}", console)
    others = [choice for choice in result.choices if choice.pooling != result.spec.rule.pooling]
    if others:
        words = ", ".join(f"{choice.pooling} tokens layer {choice.layer} ({choice.accuracy:.3f})" for choice in others)
        say(f"By the same rule the other poolings would have chosen: {words}.", console)
    failed = [row for row in result.rows if not row.converged]
    if failed:
        where = ", ".join(f"{row.target}/{row.pooling}/{row.layer}/{row.control}" for row in failed[:5])
        say(f"Not converged, so not to be trusted: {len(failed)} probes ({where}).", console, style="bold red")


def probe_table(result: ProbingResult, target: Target) -> Table:
    """Test accuracies by layer: of each pooling the probe's with its interval, then its controls'."""
    first, controls = result.rows[0], CONTROLS[1:]
    columns = [Column("layer", "layer", right=True)]
    for pooling in result.spec.poolings:
        columns.append(Column(pooling, f"{POOLING_WORDS[pooling]} [95% CI]", "decimal", digits=2))
        columns.append(Column(f"{pooling}_controls", "controls", right=True))
    rows = []
    for layer in range(EMBEDDINGS, result.n_layers):
        name = "embeddings" if layer == EMBEDDINGS else str(layer)
        values: list[Cell | str] = [f"{name} *" if layer == result.layer else name]
        for pooling in result.spec.poolings:
            row = result.row(target, pooling, layer)
            others = (result.row(target, pooling, layer, control).test_accuracy for control in controls)
            values.append(Cell(row.test_accuracy, row.low, row.high, row.reason or ""))
            values.append(" / ".join(decimal(value, 2) for value in others))
        rows.append(values)
    note = (
        f"{first.n_test} test items in {first.n_test_orbits} orbits, {first.n_train} training items; "
        f"{result.interval}. controls: {' / '.join(CONTROL_WORDS[control] for control in controls)}. *: the "
        "chosen layer."
    )
    return table("probes", f"{target}: test accuracy; chance {result.chance[target]:.3f}", columns, rows, [note])


@plain_style()
def probe_figure(result: ProbingResult, path_png: Path) -> None:
    """Draw the test accuracies of all probes with their intervals, one column for each pooling and one row for each
    target, and write `path_png` in one step. Raises BackendError if the file cannot be written."""
    poolings = result.spec.poolings
    figure = new_figure(1.4 + 3.9 * len(poolings), 7.2)
    grid: Any = figure.subplots(len(TARGETS), len(poolings), sharex=True, sharey=True, squeeze=False)
    for row, target in enumerate(TARGETS):
        for column, pooling in enumerate(poolings):
            _panel(grid[row][column], result, target, pooling)
            if row == 0:
                grid[row][column].set_title(POOLING_WORDS[pooling], fontsize=13)
        grid[row][0].set_ylabel(f"{_TARGET_TITLES[target]}: test accuracy", fontsize=12)
    for axes in grid[-1]:
        axes.set_xlabel("decoder layer", fontsize=12)
    handles: dict[str, Any] = {}
    for axes in (grid[0][poolings.index(result.spec.rule.pooling)], *grid.flat):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    order = [*(CONTROL_WORDS[control] for control in _LOOKS), "chance", "chosen layer"]
    shown = [label for label in order if label in handles]
    figure.legend([handles[label] for label in shown], shown, loc="outside lower center", ncols=len(shown), fontsize=11)
    figure.suptitle(f"Linear probes of {result.spec.model}: held-out paraphrases, 95% CI by orbit", fontsize=14)
    save_png(figure, path_png, dpi=130)


def _panel(axes: Any, result: ProbingResult, target: Target, pooling: Pooling) -> None:
    axes.axhline(result.chance[target], color="black", linewidth=1, linestyle=(0, (1, 3)), label="chance", zorder=1)
    if pooling == result.spec.rule.pooling:
        axes.axvline(result.layer, color=_CHOSEN, linewidth=7, alpha=0.35, label="chosen layer", zorder=0)
    missing = [control for control in CONTROLS if not _line(axes, result, target, pooling, control)]
    if missing:
        names = ", ".join(CONTROL_WORDS[control] for control in missing)
        axes.text(0.03, 0.97, f"{names}: no {pooling} tokens", transform=axes.transAxes, va="top", fontsize=10)
    layers = list(range(0, result.n_layers, -(-result.n_layers // _MOST_TICKS)))
    axes.set_ylim(0, 1.02)
    axes.set_xticks([EMBEDDINGS, *layers], ["emb", *map(str, layers)])
    axes.tick_params(labelsize=11)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.7)
    bare(axes)


def _line(axes: Any, result: ProbingResult, target: Target, pooling: Pooling, control: Control) -> bool:
    """Draw one control's curve; False if it is undefined at this pooling."""
    rows = [result.row(target, pooling, layer, control) for layer in range(EMBEDDINGS, result.n_layers)]
    known = [(row, row.test_accuracy) for row in rows if row.test_accuracy is not None]
    if not known:
        return False
    colour, dashes, marker = _LOOKS[control]
    layers, accuracies = [row.layer for row, _ in known], [accuracy for _, accuracy in known]
    width, above = (2.0, 4) if control == "real" else (1.5, 3)
    look = {"color": colour, "linestyle": dashes, "marker": marker, "markersize": 5, "linewidth": width}
    axes.plot(layers, accuracies, **look, label=CONTROL_WORDS[control], zorder=above)
    # No band is drawn where there is no interval.
    low = [accuracy if row.low is None else row.low for row, accuracy in known]
    high = [accuracy if row.high is None else row.high for row, accuracy in known]
    axes.fill_between(layers, low, high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    return True
