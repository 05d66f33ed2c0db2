"""Figures of a report: the interaction of every pair, how alike the sets are, accuracy against drift, and controls.

Each is drawn into a PNG and raises BackendError if that cannot be written.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsc_eval.analysis.controls import ControlKind, ControlTest, Effect, Outcome
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.figures.heat import Square, colour_scale, draw_squares
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
from vsc_eval.studies.records import Selection, StudyResults
from vsc_eval.studies.report.sweep import pareto
from vsc_eval.studies.report.words import accuracy_of, drift_of, interaction_of, size
from vsc_eval.studies.words import KIND_WORDS, OUTCOME_WORDS, ROLE_WORDS, spaced
from vsc_eval.tables.numbers import UNDEFINED, decimal, points

# Red is harmful in both: more drift, less accuracy. ColorBrewer's red-blue is safe for colour-blind readers.
_COLOURS: dict[Outcome, str] = {"drift": "RdBu_r", "accuracy": "RdBu"}
_EXTREME = {"drift": "larger", "accuracy": "smaller"}
_OWN = "#E4E4E4"
_LEAST_SCALE = 0.01

_EDIT_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS: dict[Role, tuple[str, float]] = {"single": ("o", 46), "combined": ("s", 34), "norm_matched": ("^", 38)}
"""Marker and area."""

_LOOKS: dict[ControlKind, tuple[str, str]] = {
    "random_sets": (BLUE, "o"),
    "random_directions": (ORANGE, "s"),
    "permuted_labels": (GREEN, "^"),
}
_EFFECT_WORDS: dict[Effect, str] = {
    "single": "single sets",
    "interaction": "interaction of unions over the sum of their parts",
}
_ROW_INCHES = 0.5

_Squares = dict[tuple[int, int], Square]


def interference_figure(results: StudyResults, edit: str, path_png: Path) -> None:
    """Rows: outcomes, one colour scale each; columns: forms."""
    forms: list[Form] = ["raw", "norm_matched"] if results.spec.sweep.norm_match else ["raw"]
    pairs = {form: [pair for pair in results.pairs if (pair.edit, pair.form) == (edit, form)] for form in forms}
    tasks = list(map(spaced, results.spec.tasks))
    side = max(4.0, 1.0 + 0.66 * len(tasks))
    figure = new_figure(2.9 + side * len(forms), 2.4 + 2 * side)
    grid = figure.subplots(2, len(forms), squeeze=False, sharex=True, sharey=True)
    for row, (outcome, colours) in zip(grid, _COLOURS.items(), strict=True):
        values = [interaction_of(pair, outcome)[0].value for found in pairs.values() for pair in found]
        scale = max([_LEAST_SCALE, *(abs(value) for value in values if value is not None)])
        drawn = colour_scale(colours, -100 * scale, 100 * scale)
        for axes, form in zip(row, forms, strict=True):
            squares = _own_effects(results, edit, outcome) | _interactions(results, pairs[form], outcome, drawn)
            # In lines as wide as the panel.
            title = textwrap.wrap(f"{outcome}: {_title(results, form, outcome)}", max(20, 9 * len(tasks)))
            _matrix(axes, squares, tasks)
            axes.set_title("\n".join(title), fontsize=11.5)
            axes.tick_params(labelsize=10.5)
        bar = figure.colorbar(drawn, ax=list(row), shrink=0.86, aspect=28)
        bar.set_label(f"{outcome} interaction, points")
    figure.get_layout_engine().set(h_pad=0.12)
    figure.suptitle(f"Interaction of unions under {edit}, {size(results.pairs[0])}", fontsize=14)
    figure.supxlabel(
        f"Percentage points; red is harm.  * adjusted p of the interaction ≤ {results.spec.verdict.alpha:g}.\n"
        "Grey diagonal: the single set's own effect, not an interaction.",
        fontsize=11,
    )
    save_png(figure, path_png)


def _title(results: StudyResults, form: Form, outcome: Outcome) -> str:
    if form == "raw":
        return "raw union, less the sum of its parts"
    reference = "mean" if results.spec.sweep.norm_match != "max" else _EXTREME[outcome]
    return f"norm-matched union, less the {reference} of its parts"


def _own_effects(results: StudyResults, edit: str, outcome: Outcome) -> _Squares:
    """The single sets' own drift or accuracy difference, on the diagonal."""
    found = {}
    for row in results.edited(edit, "single"):
        if row.drift is not None and row.difference is not None:
            value = row.drift.share.value if outcome == "drift" else row.difference.value
            place = results.spec.tasks.index(row.sets[0])
            found[place, place] = Square(points(value), _OWN, style="italic")
    return found


def _interactions(results: StudyResults, pairs: Sequence[InteractionRow], outcome: Outcome, drawn: Any) -> _Squares:
    found, tasks = {}, results.spec.tasks
    for pair in pairs:
        figure, p = interaction_of(pair, outcome)
        square = Square(UNDEFINED, "white")
        if figure.value is not None:
            text, weight = (
                (f"{points(figure.value)}*", "bold") if results.passes(p) else (points(figure.value), "normal")
            )
            square = Square(text, drawn.to_rgba(100 * figure.value), weight)
        found[tasks.index(pair.parts[1]), tasks.index(pair.parts[0])] = square
    return found


def sets_figure(selection: Selection, path_png: Path) -> None:
    """Jaccard overlap and decoder cosine, [sets, sets] each."""
    sets = [spaced(row.name) for row in selection.sets]
    side = max(4.2, 2.2 + 0.52 * len(sets))
    figure = new_figure(2 * side + 1, side + 0.3)
    lowest = min(0.0, min(map(min, selection.decoder_cosine)))
    panels = (
        (selection.jaccard, "Jaccard overlap of features", "Blues", 0.0),
        (selection.decoder_cosine, "decoder cosine (mean of nearest)", "Purples", lowest),
    )
    for axes, (matrix, title, colours, low) in zip(figure.subplots(1, 2), panels, strict=True):
        drawn = colour_scale(colours, low, 1)
        squares = {
            (row, column): Square(decimal(value, 2), drawn.to_rgba(value))
            for row, values in enumerate(matrix)
            for column, value in enumerate(values)
        }
        _matrix(axes, squares, sets)
        axes.set_title(title)
        figure.colorbar(drawn, ax=axes, shrink=0.82)
    figure.axes[1].set_yticklabels([])
    save_png(figure, path_png)


def _matrix(axes: Any, squares: _Squares, names: Sequence[str]) -> None:
    draw_squares(axes, squares, names, names)
    axes.set_aspect("equal")
    for label in axes.get_xticklabels():
        label.set(rotation=40, ha="right", rotation_mode="anchor")


def frontier_figure(results: StudyResults, path_png: Path) -> None:
    """Accuracy against drift, every condition a point."""
    figure = new_figure(11, 7.2)
    axes = figure.subplots()
    edits, rows, base = results.spec.sweep.edits, results.conditions, results.baseline
    colours = {edit: _EDIT_COLOURS[i % len(_EDIT_COLOURS)] for i, edit in enumerate(edits)}
    for row in rows:
        if row.edit is not None:
            marker, area = _MARKERS[row.role]
            colour = colours[row.edit]
            look = {"facecolor": _face(row.role, colour), "edgecolor": colour, "linewidths": 1.1, "alpha": 0.8}
            axes.scatter(*_place(row), s=area, marker=marker, zorder=3, **look)
    named = _extremes(results)
    for row in named:
        # Those of all conditions together would hide the points.
        drift = _ends(row.drift.share if row.drift else None)
        cross(axes, _place(row), drift, _ends(row.accuracy), colours.get(row.edit or "", "black"))
    line = list(map(_place, pareto(results)))
    axes.plot(*zip(*line, strict=True), color="black", linewidth=1.1, linestyle="--", zorder=2)
    axes.axhline(100 * accuracy_of(base), color="#888888", linewidth=0.9, zorder=1)
    axes.scatter(*_place(base), marker="*", s=300, color="black", zorder=6)
    axes.set_xlabel("drift: answers that are not the baseline's, %", fontsize=12)
    axes.set_ylabel("accuracy, %", fontsize=12)
    axes.set_title(f"Accuracy against drift, {size(base)}")
    axes.grid(color=GRID, linewidth=0.7)
    axes.margins(0.06)
    bare(axes)
    handles = _frontier_handles({row.role for row in rows}, colours)
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // 2), frameon=False)
    label_points(axes, [(_name(row), _place(row)) for row in named], [_place(row) for row in rows])
    save_png(figure, path_png)


def _face(role: Role, colour: str) -> str:
    return "none" if role == "norm_matched" else colour


def _ends(figure: Figure | None) -> Ends | None:
    if figure is None or figure.low is None or figure.high is None:
        return None
    return 100 * figure.low, 100 * figure.high


def _place(row: Row) -> tuple[float, float]:
    """In percent."""
    return 100 * drift_of(row), 100 * accuracy_of(row)


def _extremes(results: StudyResults) -> list[Row]:
    """The few that a reader asks for: baseline, most and least accurate, also of single sets, and most drift. Of those
    in one place only the first is named."""
    edited = [row for row in results.conditions if row.role != "baseline"]
    singles = [row for row in edited if row.role == "single"]
    found = [
        results.baseline,
        *(extreme(rows, key=accuracy_of) for extreme in (max, min) for rows in (edited, singles)),
        max(edited, key=drift_of),
    ]
    placed: dict[tuple[float, float], Row] = {}
    for row in found:
        placed.setdefault(_place(row), row)
    return list(placed.values())


def _name(row: Row) -> str:
    matched = " (norm-matched)" if row.role == "norm_matched" else ""
    return "baseline" if row.edit is None else f"{' + '.join(map(spaced, row.sets))}, {row.edit}{matched}"


def _frontier_handles(roles: set[Role], colours: dict[str, str]) -> list[Any]:
    from matplotlib.lines import Line2D

    shapes = [(role, marker) for role, (marker, _) in _MARKERS.items() if role in roles]
    return [
        mark("baseline", "*", "black", size=14),
        *(mark(ROLE_WORDS[role], marker, "#555555", face=_face(role, "#555555")) for role, marker in shapes),
        *(mark(edit, "o", colour) for edit, colour in colours.items()),
        Line2D([], [], linestyle="--", color="black", linewidth=1.1, label="frontier"),
    ]


def controls_figure(results: StudyResults, path_png: Path) -> None:
    """Real sets over control draws: single sets above, interactions of pairs below; drift to the left, accuracy to the
    right."""
    tests = [test for test in results.controls if test.effect in _EFFECT_WORDS]
    sets = {
        effect: list(dict.fromkeys(test.sets for test in tests if test.effect == effect)) for effect in _EFFECT_WORDS
    }
    heights = [max(len(found), 1) for found in sets.values()]
    figure = new_figure(12, 2.6 + _ROW_INCHES * sum(heights))
    grid = figure.subplots(2, 2, height_ratios=heights, squeeze=False, sharey="row")
    for row, (effect, words) in zip(grid, _EFFECT_WORDS.items(), strict=True):
        for axes, outcome in zip(row, OUTCOME_WORDS, strict=True):
            own = [test for test in tests if (test.effect, test.outcome) == (effect, outcome)]
            _panel(axes, results, own, sets[effect])
            axes.set_title(words, fontsize=12)
            axes.set_xlabel(f"{OUTCOME_WORDS[outcome]}, points")
    rule = results.spec.verdict
    handles = [mark("real sets", "D", "black", face="white")]
    if rule.control_kinds:
        handles.append(mark(f"extreme against each kind (p ≤ {rule.control_alpha:g})", "D", "black"))
    for kind in results.spec.controls.kinds:
        colour, marker = _LOOKS[kind]
        handles.append(mark(KIND_WORDS[kind], marker, colour))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    n = results.n_control_items
    figure.suptitle(f"Real sets against control draws under {rule.edit}, n = {n}", fontsize=14)
    save_png(figure, path_png)


def _panel(axes: Any, results: StudyResults, of_panel: Sequence[ControlTest], sets: Sequence[tuple[str, ...]]) -> None:
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    kinds = results.spec.controls.kinds
    # The real sets first, then each kind of control.
    strips = [(place + 0.5) / (len(kinds) + 1) * 0.86 - 0.43 for place in range(len(kinds) + 1)]
    for place, members in enumerate(sets):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F3F3F3", zorder=0)
        tests = {test.kind: test for test in of_panel if test.sets == members}
        for kind, test in tests.items():
            colour, marker = _LOOKS[kind]
            axes.scatter(
                [100 * value for value in test.draws],
                [place + strips[kinds.index(kind) + 1]] * len(test.draws),
                s=22,
                color=colour,
                marker=marker,
                alpha=0.5,
                linewidths=0,
                zorder=3,
            )
        if tests:
            value = 100 * next(iter(tests.values())).value
            filled = "black" if _is_extreme(tests, results) else "white"
            axes.plot([value] * 2, [place - 0.45, place + 0.45], color="black", linewidth=0.9, alpha=0.55, zorder=2)
            axes.scatter([value], [place + strips[0]], s=36, marker="D", facecolor=filled, edgecolor="black", zorder=4)
    axes.set_yticks(range(len(sets)), [" + ".join(map(spaced, members)) for members in sets], fontsize=10)
    axes.set_ylim(max(len(sets), 1) - 0.5, -0.5)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.7)
    axes.tick_params(axis="y", length=0)
    bare(axes)


def _is_extreme(tests: dict[ControlKind, ControlTest], results: StudyResults) -> bool:
    """Against every kind that the verdict asks for; by the family-wise p where there is one to be had."""
    rule = results.spec.verdict
    if not rule.control_kinds or any(kind not in tests for kind in rule.control_kinds):
        return False
    asked = [tests[kind] for kind in rule.control_kinds]
    found = [test.p_family if test.effect == "interaction" else test.p for test in asked]
    return all(p is not None and p <= rule.control_alpha for p in found)
