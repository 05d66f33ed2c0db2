"""The baseline's accuracies: the cells as a heat map, or the tasks with their intervals."""

from __future__ import annotations

from typing import Any

from vsc_eval.board.records import BoardRow, Entry
from vsc_eval.board.share.canvas import GREY, label
from vsc_eval.figures.style import BLUE, GRID, bare
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import LEVELS, TASKS

_NAME = 28
_MAX_TASKS = 24
_COLOURS = "Blues"


def cells(entry: Entry) -> dict[tuple[str, str], BoardRow]:
    """(task, level) of the benchmark -> the baseline's row."""
    return {
        (str(row.task), str(row.level)): row
        for row in entry.rows
        if row.condition == BASELINE and row.scope == "cell" and row.task in TASKS and row.level in LEVELS
        if row.accuracy.value is not None
    }


def draw_cells(axes: Any, entry: Entry) -> None:
    """7 x 3, accuracy in percent in every cell."""
    found = cells(entry)
    tasks = [task for task in TASKS if any((task, level) in found for level in LEVELS)]
    levels = [level for level in LEVELS if any((task, level) in found for task in tasks)]
    values = [[_share(found.get((task, level))) for level in levels] for task in tasks]
    axes.imshow(values, cmap=_COLOURS, vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            shown = "–" if value != value else f"{100 * value:.0f}"
            axes.text(x, y, shown, ha="center", va="center", fontsize=13, color=ink(value))
    axes.set_xticks(range(len(levels)), levels)
    axes.set_yticks(range(len(tasks)), [task.replace("_", " ") for task in tasks])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    sizes = sorted({row.n for row in found.values()})
    each = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    axes.set_title(f"Accuracy without edits, % ({each} items a cell)")


def ink(share: float) -> str:
    """Black or white, whichever has the larger contrast (WCAG 2.2) with the ground of a cell."""
    from matplotlib import colormaps

    ground = colormaps[_COLOURS](share)[:3] if share == share else (1.0, 1.0, 1.0)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in ground]
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def _share(row: BoardRow | None) -> float:
    return float("nan") if row is None or row.accuracy.value is None else row.accuracy.value


def draw_tasks(axes: Any, entry: Entry) -> None:
    """One line a task with its interval; of many tasks the first."""
    rows = [row for row in entry.rows if row.condition == BASELINE and row.scope == "task" and row.by is None]
    rows = [row for row in rows if row.accuracy.value is not None]
    left_out = len(rows) - _MAX_TASKS
    rows = rows[:_MAX_TASKS]
    for y, row in enumerate(rows):
        low, high = row.accuracy.low, row.accuracy.high
        if low is not None and high is not None:
            axes.plot([100 * low, 100 * high], [y, y], color=BLUE, linewidth=2)
        axes.plot([100 * _share(row)], [y], marker="o", color=BLUE, markersize=7)
    overall = entry.row(BASELINE, "all")
    if overall is not None and overall.accuracy.value is not None:
        axes.axvline(100 * overall.accuracy.value, color=GREY, linewidth=1, linestyle="--")
    names = [label(str(row.task).replace("_", " "), _NAME) for row in rows]
    axes.set_yticks(range(len(rows)), [f"{name} (n = {row.n:,})" for name, row in zip(names, rows, strict=True)])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy, %; dashed: all items" + (f"; {left_out} more tasks not shown" if left_out > 0 else ""))
    axes.set_title("Accuracy by task, with intervals")
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    bare(axes)


def accuracy_words(entry: Entry) -> str:
    """The heat map in a sentence."""
    found = cells(entry)
    ordered = sorted(found, key=lambda cell: (_share(found[cell]), cell))
    worst, best = ordered[0], ordered[-1]
    return (
        f"A heat map of {len(found)} cells of tasks and levels runs from {_share(found[worst]):.0%} "
        f"({worst[0].replace('_', ' ')}, {worst[1]}) to {_share(found[best]):.0%} "
        f"({best[0].replace('_', ' ')}, {best[1]})."
    )
