"""Accuracy against drift, every condition a point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.figures.labels import label_points
from vsc_eval.figures.style import (
    BLUE,
    GREEN,
    GRID,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Ends,
    bare,
    cross,
    mark,
    new_figure,
    save_png,
)
from vsc_eval.stats import Figure
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.sweep import pareto
from vsc_eval.studies.report.words import accuracy_of, conditions, drift_of, is_matched
from vsc_eval.studies.words import ROLE_WORDS, spaced

_EDIT_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS: dict[Role, tuple[str, float]] = {"single": ("o", 46), "combined": ("s", 34), "norm_matched": ("^", 38)}
"""Marker and area."""


def frontier_figure(results: StudyResults, path_png: Path) -> None:
    """Raises BackendError if the file cannot be written."""
    figure = new_figure(11, 7.2)
    axes = figure.subplots()
    edits, rows = results.spec.sweep.edits, conditions(results)
    colours = {edit: _EDIT_COLOURS[i % len(_EDIT_COLOURS)] for i, edit in enumerate(edits)}
    for row in rows:
        if row.role != "baseline":
            _point(axes, row, colours[row.edit or ""])
    named = _extremes(results)
    for row in named:
        _bars(axes, row, colours.get(row.edit or "", "black"))
    line = pareto(results)
    axes.plot(*_xy(line), color="black", linewidth=1.1, linestyle="--", zorder=2)
    base = next(row for row in rows if row.role == "baseline")
    axes.axhline(100 * accuracy_of(base), color="#888888", linewidth=0.9, zorder=1)
    axes.scatter(*_xy([base]), marker="*", s=300, color="black", zorder=6)
    axes.set_xlabel("drift: answers that are not the baseline's, %", fontsize=12)
    axes.set_ylabel("accuracy, %", fontsize=12)
    axes.set_title(f"Accuracy against drift, n = {base.n} items in {base.n_clusters} orbits")
    axes.grid(color=GRID, linewidth=0.7)
    axes.margins(0.06)
    bare(axes)
    _legend(figure, results, colours)
    label_points(axes, [(_name(row), _place(row)) for row in named], [_place(row) for row in rows])
    save_png(figure, path_png)


def _point(axes: Any, row: Row, colour: str) -> None:
    marker, area = _MARKERS[row.role]
    face = "none" if is_matched(row) else colour
    axes.scatter(
        *_place(row), s=area, marker=marker, facecolor=face, edgecolor=colour, linewidths=1.1, alpha=0.8, zorder=3
    )


def _bars(axes: Any, row: Row, colour: str) -> None:
    """Both intervals. Those of all conditions together would hide the points."""
    cross(axes, _place(row), _ends(row.drift.share if row.drift else None), _ends(row.accuracy), colour)


def _ends(figure: Figure | None) -> Ends | None:
    if figure is None or figure.low is None or figure.high is None:
        return None
    return 100 * figure.low, 100 * figure.high


def _place(row: Row) -> tuple[float, float]:
    """In percent."""
    return 100 * drift_of(row), 100 * accuracy_of(row)


def _xy(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return [_place(row)[0] for row in rows], [_place(row)[1] for row in rows]


def _extremes(results: StudyResults) -> list[Row]:
    """The few that a reader asks for: baseline, most and least accurate, also of single sets, and most drift. Of those
    in one place only the first is named."""
    rows = conditions(results)
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
    placed: dict[tuple[float, float], Row] = {}
    for row in found:
        placed.setdefault((drift_of(row), accuracy_of(row)), row)
    return list(placed.values())


def _name(row: Row) -> str:
    if row.role == "baseline":
        return "baseline"
    matched = " (norm-matched)" if is_matched(row) else ""
    return f"{' + '.join(map(spaced, row.sets))}, {row.edit}{matched}"


def _legend(figure: Any, results: StudyResults, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    roles = {row.role for row in conditions(results)}
    handles = [mark("baseline", "*", "black", size=14)]
    for role, (marker, _) in _MARKERS.items():
        if role in roles:
            face = "none" if role == "norm_matched" else None
            handles.append(mark(ROLE_WORDS[role], marker, "#555555", face=face))
    handles += [mark(edit, "o", colour) for edit, colour in colours.items()]
    handles.append(Line2D([], [], linestyle="--", color="black", linewidth=1.1, label="frontier"))
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // 2), frameon=False)
