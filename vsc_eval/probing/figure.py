"""The probe curves: accuracy by layer, one column for each pooling, one row for each target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vsc_eval.figures.style import BLUE, GREEN, GREY, PURPLE, VERMILION, bare, new_figure, plain_style, save_png
from vsc_eval.probing.result import CONTROLS, Control, ProbeRow, ProbingResult
from vsc_eval.probing.spec import EMBEDDINGS, TARGETS, Pooling, Target
from vsc_eval.probing.words import CONTROL_WORDS, POOLING_WORDS

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


@plain_style()
def probe_figure(result: ProbingResult, path_png: Path) -> None:
    """Draw the test accuracies of all probes with their intervals, and write `path_png` in one step.

    Raises BackendError if the file cannot be written.
    """
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
    _legend(figure, grid, poolings.index(result.spec.rule.pooling))
    title = f"Linear probes of {result.spec.model}: held-out paraphrases, 95% CI by orbit"
    figure.suptitle(title, fontsize=14)
    save_png(figure, path_png, dpi=130)


def _panel(axes: Any, result: ProbingResult, target: Target, pooling: Pooling) -> None:
    axes.axhline(result.chance[target], color="black", linewidth=1, linestyle=(0, (1, 3)), label="chance", zorder=1)
    if pooling == result.spec.rule.pooling:
        axes.axvline(result.layer, color=_CHOSEN, linewidth=7, alpha=0.35, label="chosen layer", zorder=0)
    missing = [control for control in CONTROLS if not _line(axes, result, target, pooling, control)]
    if missing:
        names = ", ".join(CONTROL_WORDS[control] for control in missing)
        axes.text(0.03, 0.97, f"{names}: no {pooling} tokens", transform=axes.transAxes, va="top", fontsize=10)
    axes.set_ylim(0, 1.02)
    axes.set_xticks(*_ticks(result.n_layers))
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
    layers = [row.layer for row, _ in known]
    axes.plot(
        layers,
        [accuracy for _, accuracy in known],
        color=colour,
        linestyle=dashes,
        marker=marker,
        markersize=5,
        linewidth=2 if control == "real" else 1.5,
        label=CONTROL_WORDS[control],
        zorder=4 if control == "real" else 3,
    )
    low, high = zip(*(_band(row, accuracy) for row, accuracy in known), strict=True)
    axes.fill_between(layers, low, high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    return True


def _band(row: ProbeRow, accuracy: float) -> tuple[float, float]:
    """The interval; none is drawn where there is none."""
    return (accuracy, accuracy) if row.low is None or row.high is None else (row.low, row.high)


def _ticks(n_layers: int) -> tuple[list[int], list[str]]:
    step = -(-n_layers // _MOST_TICKS)
    layers = list(range(0, n_layers, step))
    return [EMBEDDINGS, *layers], ["emb", *map(str, layers)]


def _legend(figure: Any, grid: Any, chosen_column: int) -> None:
    handles: dict[str, Any] = {}
    for axes in (grid[0][chosen_column], *grid.flat):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    order = [*(CONTROL_WORDS[control] for control in _LOOKS), "chance", "chosen layer"]
    shown = [label for label in order if label in handles]
    figure.legend([handles[label] for label in shown], shown, loc="outside lower center", ncols=len(shown), fontsize=11)
