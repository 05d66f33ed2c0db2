"""Accuracy against drift, every condition a point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsc_eval.study.records import ConditionRow, Role, StudyResults
from vsc_eval.study.report.canvas import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, bare, new_figure, save
from vsc_eval.study.report.frontier import accuracy_of, drift_of, pareto, points
from vsc_eval.study.report.words import spaced

_EDIT_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS: dict[Role, tuple[str, str, float]] = {
    "single": ("o", "single set", 46),
    "union": ("s", "union", 34),
    "norm_matched_union": ("^", "norm-matched union", 38),
}
_PLACES = ((8, 8), (8, -16), (-8, 8), (-8, -16), (8, 24), (-8, 24), (8, -32), (-8, -32), (8, 40), (-8, 40))
"""Offsets of a label from its point that are tried, in points of type."""


def frontier_figure(results: StudyResults, path_png: Path) -> None:
    """Raises BackendError if the file cannot be written."""
    figure = new_figure(11, 7.2)
    axes = figure.subplots()
    edits, rows = results.spec.sweep.edits, points(results)
    colours = {edit: _EDIT_COLOURS[i % len(_EDIT_COLOURS)] for i, edit in enumerate(edits)}
    for row in rows:
        if row.role != "baseline":
            _point(axes, row, colours[row.edit or ""])
    line = pareto(results)
    axes.plot(*_xy(line), color="black", linewidth=1.1, linestyle="--", zorder=2)
    base = next(row for row in rows if row.role == "baseline")
    axes.axhline(100 * accuracy_of(base), color="#888888", linewidth=0.9, zorder=1)
    axes.scatter(*_xy([base]), marker="*", s=300, color="black", zorder=6)
    axes.set_xlabel("drift: answers that are not the baseline's, %", fontsize=12)
    axes.set_ylabel("accuracy, %", fontsize=12)
    axes.set_title(f"Accuracy against drift, n = {base.n} items in {base.n_clusters} orbits")
    axes.grid(color="#E6E6E6", linewidth=0.7)
    axes.margins(0.06)
    bare(axes)
    _legend(figure, results, colours)
    _labels(figure, axes, _extremes(results), rows)
    save(figure, path_png)


def _point(axes: Any, row: ConditionRow, colour: str) -> None:
    marker, _, area = _MARKERS[row.role]
    x, y = 100 * drift_of(row), 100 * accuracy_of(row)
    bar = {"color": colour, "alpha": 0.16, "linewidth": 0.9, "zorder": 1}
    if row.accuracy.low is not None and row.accuracy.high is not None:
        axes.plot([x, x], [100 * row.accuracy.low, 100 * row.accuracy.high], **bar)
    drift = row.drift.share if row.drift else None
    if drift is not None and drift.low is not None and drift.high is not None:
        axes.plot([100 * drift.low, 100 * drift.high], [y, y], **bar)
    face = "none" if row.role == "norm_matched_union" else colour
    axes.scatter(x, y, s=area, marker=marker, facecolor=face, edgecolor=colour, linewidths=1.1, alpha=0.85, zorder=3)


def _xy(rows: Sequence[ConditionRow]) -> tuple[list[float], list[float]]:
    return [100 * drift_of(row) for row in rows], [100 * accuracy_of(row) for row in rows]


def _extremes(results: StudyResults) -> list[ConditionRow]:
    """The few that a reader asks for: baseline, most and least accurate, most drift, most accurate single set."""
    rows = points(results)
    edited = [row for row in rows if row.role != "baseline"]
    singles = [row for row in edited if row.role == "single"]
    found = [
        next(row for row in rows if row.role == "baseline"),
        max(edited, key=accuracy_of),
        max(singles, key=accuracy_of),
        min(edited, key=accuracy_of),
        min(singles, key=accuracy_of),
        max(edited, key=drift_of),
    ]
    return list({row.condition: row for row in found}.values())


def _labels(figure: Any, axes: Any, rows: Sequence[ConditionRow], everything: Sequence[ConditionRow]) -> None:
    """Name the points where nothing is in the way: each label takes the first place that is free, else the least bad."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    marks = axes.transData.transform(list(zip(*_xy(everything), strict=True)))
    taken: list[Any] = []
    for row in rows:
        x, y = 100 * drift_of(row), 100 * accuracy_of(row)
        tried = []
        for dx, dy in _PLACES:
            label = axes.annotate(
                _name(row),
                (x, y),
                xytext=(dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                fontsize=9.5,
                arrowprops={"arrowstyle": "-", "color": "#666666", "linewidth": 0.7, "shrinkB": 4},
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
                parse_math=False,
                zorder=7,
            )
            box = label.get_window_extent(renderer).padded(2)
            hidden = sum(box.contains(*mark) for mark in marks)
            outside = not (axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 + 10 and box.y0 >= axes.bbox.y0)
            tried.append((1000 * any(box.overlaps(other) for other in taken) + 500 * outside + hidden, label, box))
        best = min(range(len(tried)), key=lambda i: (tried[i][0], i))
        for i, (_, label, _) in enumerate(tried):
            if i != best:
                label.remove()
        taken.append(tried[best][2])


def _name(row: ConditionRow) -> str:
    if row.role == "baseline":
        return "baseline"
    matched = " (norm-matched)" if row.role == "norm_matched_union" else ""
    return f"{' + '.join(map(spaced, row.sets))}, {row.edit}{matched}"


def _legend(figure: Any, results: StudyResults, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    roles = {row.role for row in points(results)}
    handles = [Line2D([], [], linestyle="", marker="*", color="black", markersize=14, label="baseline")]
    for role, (marker, label, _) in _MARKERS.items():
        if role in roles:
            face = "none" if role == "norm_matched_union" else "#555555"
            handles.append(
                Line2D(
                    [],
                    [],
                    linestyle="",
                    marker=marker,
                    color="#555555",
                    markerfacecolor=face,
                    markersize=7,
                    label=label,
                )
            )
    handles += [
        Line2D([], [], linestyle="", marker="o", color=colour, markersize=7, label=edit)
        for edit, colour in colours.items()
    ]
    handles.append(Line2D([], [], linestyle="--", color="black", linewidth=1.1, label="frontier"))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
