"""The baseline's accuracies: the cells as a heat map, or the tasks with their intervals."""

from __future__ import annotations

from typing import Any

from vsc_eval.board.records import BoardRow, Entry
from vsc_eval.board.share.canvas import label
from vsc_eval.figures.heat import Square, colour_scale, draw_squares
from vsc_eval.figures.style import BLUE, GREY, GRID, bare
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import LEVELS, TASKS
from vsc_eval.tables.numbers import percent

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
    scale = colour_scale(_COLOURS, 0, 1)
    squares = {}
    for y, task in enumerate(tasks):
        for x, level in enumerate(levels):
            row = found.get((task, level))
            colour = "white" if row is None else scale.to_rgba(_share(row))
            squares[y, x] = Square(percent(None if row is None else _share(row), 0), colour)
    draw_squares(axes, squares, [task.replace("_", " ") for task in tasks], levels, font_size=13)
    sizes = sorted({row.n for row in found.values()})
    each = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    axes.set_title(f"Accuracy without edits, % ({each} items a cell)")


def _share(row: BoardRow) -> float:
    assert row.accuracy.value is not None
    return row.accuracy.value


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
