"""One figure of an entry: how well the model answers, and what the edits change."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.board.records import Entry, drift_share
from vsc_eval.figures import style
from vsc_eval.figures.style import Square, colour_scale, draw_squares, drawable, fit, label_points
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import LEVELS, TASKS
from vsc_eval.tables.clean import name
from vsc_eval.tables.numbers import percent, span, with_interval

WIDTH_PX, HEIGHT_PX = 1200, 640
DPI = 100
_NAME, _SHORT, _TASK, _EDIT = 60, 20, 28, 34
_MAX_TASKS = 24
_MAX_NAMED = 6
_MAX_BARS = 12
_LOOKS: dict[Role, tuple[str, str, float, str]] = {
    "norm_matched": ("^", style.GREEN, 130, "norm-matched combined edit"),
    "combined": ("s", style.VERMILION, 70, "combined edit"),
    "single": ("o", style.BLUE, 34, "one set"),
}
"""Marker, colour, area, words. Drawn in this order: those in one place are all to be seen."""

Effect = tuple[Row, tuple[float, float]]
"""What an edit did over all items, and its place: drift in percent, change of accuracy in percentage points."""
Cells = dict[tuple[str, str], tuple[Row, float]]
"""(task, level) of the benchmark -> the baseline's row and accuracy."""


def summary_figure(entry: Entry, svg: Path, png: Path) -> None:
    """Draw the entry's summary.

    On the left the accuracy of the 21 cells, on the right the headline conditions' change of accuracy against their
    drift. An entry without edits, or without the benchmark's cells, has its tasks' accuracies there instead. Both files
    are the same bytes every time. Raises BackendError if they cannot be written.
    """
    found = {(str(row.task), str(row.level)): (row, share) for row, share in known_accuracies(entry, "cell")}
    cells = {(task, level): cell for (task, level), cell in found.items() if task in TASKS and level in LEVELS}
    shown, overall = effects(entry), entry.row(BASELINE, "all")
    accuracy = "accuracy not known"
    if overall is not None and overall.accuracy.value is not None:
        accuracy = f"accuracy {with_interval(overall.accuracy, percent)} % of {overall.n:,} items"
    with style.plain_style():
        model = drawable(name(entry.name, _NAME))
        figure = style.new_figure(WIDTH_PX / DPI, HEIGHT_PX / DPI, pad=(0.12, 0.08))
        widths = [0.85 if cells else 1, 1] if cells or shown else [1]
        first, *_, last = 2 * list(figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0])
        if cells:
            _draw_cells(first, cells)
        if shown:
            _draw_effects(last, entry, shown)
        if not (cells and shown):
            _draw_tasks(last if cells else first, entry)
        fit(figure, figure.suptitle(f"{model} · {accuracy}", fontsize=15))
        fit(figure, figure.supxlabel(_provenance(entry), fontsize=9, color=style.GREY))
        title = f"{model}: summary of its results"
        style.save_svg(figure, svg, title=title)
        style.save_png(figure, png, dpi=DPI, title=title)


def _provenance(entry: Entry) -> str:
    given = [
        f"vsc-eval {_short(entry.about.packages.get('vsc-eval', '?'))}",
        f"{entry.backend}, {_short(entry.about.dtype)}",
        f"generator {_short(entry.generator_version)}" if entry.generator_version else None,
        f"weights {_short(entry.fingerprint)}",
        _short(entry.about.day),
        entry.id,
    ]
    return "  ·  ".join(part for part in given if part)


def _short(text: str) -> str:
    return drawable(name(text, _SHORT))


def known_accuracies(entry: Entry, scope: Scope) -> list[tuple[Row, float]]:
    """The baseline's rows of a scope, and their accuracies."""
    rows = [row for row in entry.results.rows if row.condition == BASELINE and row.scope == scope and row.by is None]
    return [(row, row.accuracy.value) for row in rows if row.accuracy.value is not None]


def _draw_cells(axes: Any, cells: Cells) -> None:
    """7 x 3, accuracy in percent in every cell."""
    tasks = [task for task in TASKS if any((task, level) in cells for level in LEVELS)]
    levels = [level for level in LEVELS if any((task, level) in cells for task in tasks)]
    scale, squares = colour_scale("Blues", 0, 1), {}
    for (y, task), (x, level) in product(enumerate(tasks), enumerate(levels)):
        _, share = cells.get((task, level), (None, None))
        squares[y, x] = Square(percent(share, 0), "white" if share is None else scale.to_rgba(share))
    draw_squares(axes, squares, [task.replace("_", " ") for task in tasks], levels, font_size=13)
    axes.set_title(f"Accuracy without edits, % ({span((row.n for row, _ in cells.values()), str)} items a cell)")


def _draw_tasks(axes: Any, entry: Entry) -> None:
    """One line a task with its interval; of many tasks the first."""
    found = known_accuracies(entry, "task")
    left_out, found = len(found) - _MAX_TASKS, found[:_MAX_TASKS]
    names = []
    for y, (row, share) in enumerate(found):
        low, high = row.accuracy.low, row.accuracy.high
        if low is not None and high is not None:
            axes.plot([100 * low, 100 * high], [y, y], color=style.BLUE, linewidth=2)
        axes.plot([100 * share], [y], marker="o", color=style.BLUE, markersize=7)
        names.append(f"{drawable(name(str(row.task).replace('_', ' '), _TASK))} (n = {row.n:,})")
    for _, share in known_accuracies(entry, "all"):
        axes.axvline(100 * share, color=style.GREY, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(found)), names)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy, %; dashed: all items" + (f"; {left_out} more tasks not shown" if left_out > 0 else ""))
    axes.set_title("Accuracy by task, with intervals")
    axes.grid(axis="x", color=style.GRID, linewidth=0.7)
    style.bare(axes)


def effects(entry: Entry) -> list[Effect]:
    """Of the headline conditions, those that have both figures."""
    shown = [row for row in entry.effects if row.condition in entry.headlines]
    values = [(drift_share(row), row.difference) for row in shown]
    places = [(100 * (x.value or 0), 100 * (y.value or 0)) for x, y in values if x and y]
    return list(zip(shown, places, strict=True))


def _words(row: Row) -> str:
    """The sets and the edit; that a combined edit is norm-matched is told by its mark."""
    sets = " + ".join(each.replace("_", " ") for each in row.sets)
    return drawable(name(f"{sets}, {row.edit}" if sets and row.edit else row.condition, _EDIT))


def _draw_effects(axes: Any, entry: Entry, found: Sequence[Effect]) -> None:
    """One mark a condition; intervals where there are few, names of the extremes where there are many."""
    axes.axhline(0, color=style.GREY, linewidth=1, linestyle="--", zorder=1)
    for role, (marker, colour, area, words) in _LOOKS.items():
        those = [(row, point) for row, point in found if row.role == role]
        for row, point in those if len(found) <= _MAX_BARS else ():
            style.cross(axes, point, drift_share(row), row.difference, colour)
        if those:
            look = {"marker": marker, "s": area, "color": colour, "edgecolor": "white", "linewidths": 0.6}
            axes.scatter(*zip(*(point for _, point in those), strict=True), zorder=3, label=words, **look)
    axes.set_xlabel("drift: answers that are not the baseline's, %")
    axes.set_ylabel("change of accuracy, percentage points")
    shown = "all conditions" if len(found) + 1 == len(entry.conditions) else f"{len(found)} headline conditions"
    axes.set_title(f"What the edits change ({shown})")
    axes.margins(0.12)
    axes.grid(color=style.GRID, linewidth=0.7)
    style.bare(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(_LOOKS), frameon=False, fontsize=10)
    named = found if len(found) <= _MAX_NAMED else extremes(found)
    label_points(axes, [(_words(row), point) for row, point in named], [point for _, point in found])


def extremes(found: Sequence[Effect]) -> list[Effect]:
    """Those that a reader asks for: most and least accurate, of all and of single sets, and the most drift."""
    singles = [(row, point) for row, point in found if row.role == "single"] or found
    picked = [
        max(found, key=lambda effect: effect[1][1]),
        min(found, key=lambda effect: effect[1][1]),
        max(found, key=lambda effect: effect[1][0]),
        max(singles, key=lambda effect: effect[1][1]),
        min(singles, key=lambda effect: effect[1][1]),
    ]
    # Of those in one place only the first is named.
    return list({point: (row, point) for row, point in reversed(picked)}.values())
