"""Figures of a report: the interaction of every pair, how alike the sets are, accuracy against drift, and controls.

Each is drawn into a PNG and raises BackendError if that cannot be written.
"""

import re
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vsc_eval.analysis.controls import ControlKind, ControlTest, Effect, Outcome
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.figures import style
from vsc_eval.figures.style import Square, colour_scale, draw_squares, label_points
from vsc_eval.probing.show import probe_figure
from vsc_eval.studies.records import Selection, StudyResults
from vsc_eval.studies.words import EDITED, KIND_WORDS, OUTCOME_WORDS, accuracy_of, drift_of, size, spaced
from vsc_eval.tables.numbers import decimal, points

LAYER, SETS, FRONTIER, CONTROLS = "probes.png", "sets.png", "frontier.png", "controls.png"

# Red is harmful in both: more drift, less accuracy. ColorBrewer's red-blue is safe for colour-blind readers.
_COLOURS: dict[Outcome, str] = {"drift": "RdBu_r", "accuracy": "RdBu"}
_EXTREME = {"drift": "larger", "accuracy": "smaller"}
_OWN = "#E4E4E4"

_EDIT_COLOURS = (style.BLUE, style.VERMILION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
_MARKERS: dict[Role, tuple[str, float]] = {"single": ("o", 46), "combined": ("s", 34), "norm_matched": ("^", 38)}
"""Marker and area."""

_LOOKS: dict[ControlKind, tuple[str, str]] = {
    "random_sets": (style.BLUE, "o"),
    "random_directions": (style.ORANGE, "s"),
    "permuted_labels": (style.GREEN, "^"),
}
_EFFECT_WORDS: dict[Effect, str] = {"single": "single sets", "interaction": "interaction of combined edits"}
_ROW_INCHES = 0.5
_FAR_OUT = 3
"""Quartile ranges beyond the quartiles from which on a draw would squash the others (Tukey's outer fences)."""

_Squares = dict[tuple[int, int], Square]


def report_figures(results: StudyResults) -> dict[str, Callable[[Path], None]]:
    """File name of each figure that the text shows -> what draws it."""
    found: dict[str, Callable[[Path], None]] = {
        LAYER: partial(probe_figure, results.probing),
        SETS: partial(sets_figure, results.selection),
        FRONTIER: partial(frontier_figure, results),
        **{interference_name(edit): partial(interference_figure, results, edit) for edit in results.spec.sweep.edits},
    }
    return found | {CONTROLS: partial(controls_figure, results)} if results.controls else found


def interference_name(edit: str) -> str:
    """`interference_scale-4.png`."""
    return f"interference_{re.sub(r'[^A-Za-z0-9.]+', '-', edit).strip('-')}.png"


def interference_figure(results: StudyResults, edit: str, path_png: Path) -> None:
    """Rows: outcomes; columns: forms. Colours reach to twice the rule's margin, whatever the values are, so that they
    mean the same in every figure of a study."""
    at_edit, match = [pair for pair in results.pairs if pair.edit == edit], results.spec.sweep.norm_match
    pairs = {form: [pair for pair in at_edit if pair.form == form] for form in dict.fromkeys(p.form for p in at_edit)}
    tasks, margin = list(map(spaced, results.spec.tasks)), 100 * results.spec.verdict.margin
    side = max(4.0, 1.0 + 0.66 * len(tasks))
    figure = style.new_figure(2.9 + side * len(pairs), 2.4 + 2 * side)
    grid = figure.subplots(2, len(pairs), squeeze=False, sharex=True, sharey=True)
    for row, (outcome, colours) in zip(grid, _COLOURS.items(), strict=True):
        drawn = colour_scale(colours, -2 * margin, 2 * margin)
        reference = "mean" if match != "max" else _EXTREME[outcome]
        titles = {
            "raw": f"{outcome}: raw, less the sum of its parts",
            "norm_matched": f"{outcome}: norm-matched, less the {reference} of its parts",
        }
        for axes, (form, found) in zip(row, pairs.items(), strict=True):
            _matrix(axes, _squares(results, edit, found, outcome, drawn), tasks)
            # In lines as wide as the panel.
            axes.set_title("\n".join(textwrap.wrap(titles[form], max(20, 9 * len(tasks)))), fontsize=11.5)
            axes.tick_params(labelsize=10.5)
        bar = figure.colorbar(drawn, ax=list(row), shrink=0.86, aspect=28, extend="both")
        bar.set_ticks([-2 * margin, -margin, 0, margin, 2 * margin])
        bar.ax.hlines([-margin, margin], 0, 1, color="black", linewidth=1.2)
        bar.set_label(f"{outcome} interaction, points; lines: margin of the rule")
    figure.get_layout_engine().set(h_pad=0.12)
    figure.suptitle(f"Interaction of combined edits under {edit}, {size(results.pairs[0])}", fontsize=14)
    figure.supxlabel(
        f"Percentage points; red is harm.  * adjusted p of the interaction ≤ {results.spec.verdict.alpha:g}.\n"
        "Grey diagonal: the single set's own effect, not an interaction.",
        fontsize=11,
    )
    style.save_png(figure, path_png)


def _squares(
    results: StudyResults, edit: str, pairs: Sequence[InteractionRow], outcome: Outcome, drawn: Any
) -> _Squares:
    """The interactions of pairs; on the diagonal the single sets' own drift or accuracy difference."""
    tasks, found = results.spec.tasks, _Squares()
    for row in results.edited(edit, "single"):
        own = row.difference if outcome == "accuracy" else row.drift and row.drift.share
        place = tasks.index(row.sets[0])
        found[place, place] = Square(points(own.value if own else None), _OWN, style="italic")
    for pair in pairs:
        figure, p = pair.interaction(outcome)
        passes = figure.value is not None and results.passes(p)
        colour = "white" if figure.value is None else drawn.to_rgba(100 * figure.value)
        text, weight = f"{points(figure.value)}{'*' * passes}", "bold" if passes else "normal"
        found[tasks.index(pair.parts[1]), tasks.index(pair.parts[0])] = Square(text, colour, weight)
    return found


def sets_figure(selection: Selection, path_png: Path) -> None:
    """Jaccard overlap and decoder cosine, [sets, sets] each."""
    sets = [spaced(row.name) for row in selection.sets]
    side = max(4.2, 2.2 + 0.52 * len(sets))
    figure = style.new_figure(2 * side + 1, side + 0.3)
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
    style.save_png(figure, path_png)


def _matrix(axes: Any, squares: _Squares, names: Sequence[str]) -> None:
    draw_squares(axes, squares, names, names)
    axes.set_aspect("equal")
    for label in axes.get_xticklabels():
        label.set(rotation=40, ha="right", rotation_mode="anchor")


def frontier_figure(results: StudyResults, path_png: Path) -> None:
    """Accuracy against drift, every condition a point."""
    figure = style.new_figure(11, 7.2)
    axes = figure.subplots()
    edits, rows, base = results.spec.sweep.edits, results.conditions, results.baseline
    colours = {edit: _EDIT_COLOURS[i % len(_EDIT_COLOURS)] for i, edit in enumerate(edits)}
    for row in rows:
        if row.edit is not None:
            (marker, area), colour = _MARKERS[row.role], colours[row.edit]
            look = {"facecolor": _face(row.role, colour), "edgecolor": colour, "linewidths": 1.1, "alpha": 0.8}
            axes.scatter(*_place(row), s=area, marker=marker, zorder=3, **look)
    named = _extremes(results)
    for row in named:
        # Intervals of all conditions together would hide the points.
        drift = row.drift.share if row.drift else None
        style.cross(axes, _place(row), drift, row.accuracy, colours.get(row.edit or "", "black"))
    line = map(_place, pareto(results))
    axes.plot(*zip(*line, strict=True), color="black", linewidth=1.1, linestyle="--", zorder=2)
    axes.axhline(100 * accuracy_of(base), color="#888888", linewidth=0.9, zorder=1)
    axes.scatter(*_place(base), marker="*", s=300, color="black", zorder=6)
    axes.set_xlabel("drift: answers that are not the baseline's, %", fontsize=12)
    axes.set_ylabel("accuracy, %", fontsize=12)
    axes.set_title(f"Accuracy against drift, {size(base)}")
    axes.grid(color=style.GRID, linewidth=0.7)
    axes.margins(0.06)
    style.bare(axes)
    _frontier_legend(figure, {row.role for row in rows}, colours)
    label_points(axes, [(_name(row), _place(row)) for row in named], [_place(row) for row in rows])
    style.save_png(figure, path_png)


def _face(role: Role, colour: str) -> str:
    return "none" if role == "norm_matched" else colour


def _place(row: Row) -> tuple[float, float]:
    """In percent."""
    return 100 * drift_of(row), 100 * accuracy_of(row)


def _extremes(results: StudyResults) -> list[Row]:
    """The few that a reader asks for; of those in one place only the first is named."""
    edited = [row for row in results.conditions if row.edit is not None]
    singles = [row for row in edited if row.role == "single"]
    accurate = [extreme(rows, key=accuracy_of) for extreme in (max, min) for rows in (edited, singles)]
    placed: dict[tuple[float, float], Row] = {}
    for row in (results.baseline, *accurate, max(edited, key=drift_of)):
        placed.setdefault(_place(row), row)
    return list(placed.values())


def _name(row: Row) -> str:
    matched = " (norm-matched)" if row.role == "norm_matched" else ""
    return "baseline" if row.edit is None else f"{' + '.join(map(spaced, row.sets))}, {row.edit}{matched}"


def pareto(results: StudyResults) -> list[Row]:
    """Conditions that none beats, by rising drift: each is more accurate than all with less drift."""
    found: list[Row] = []
    for row in sorted(results.conditions, key=lambda row: (drift_of(row), -accuracy_of(row))):
        if not found or accuracy_of(row) > accuracy_of(found[-1]):
            found.append(row)
    return found


def _frontier_legend(figure: Any, roles: set[Role], colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    shapes = [(role, marker) for role, (marker, _) in _MARKERS.items() if role in roles]
    handles = [
        style.mark("baseline", "*", "black", size=14),
        *(style.mark(EDITED[role], marker, "#555555", face=_face(role, "#555555")) for role, marker in shapes),
        *(style.mark(edit, "o", colour) for edit, colour in colours.items()),
        Line2D([], [], linestyle="--", color="black", linewidth=1.1, label="frontier"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // 2), frameon=False)


def controls_figure(results: StudyResults, path_png: Path) -> None:
    """Real sets over control draws: single sets above, interactions of pairs below; drift to the left, accuracy to the
    right."""
    tests = {effect: [test for test in results.controls if test.effect == effect] for effect in _EFFECT_WORDS}
    sets = {effect: list(dict.fromkeys(test.sets for test in found)) for effect, found in tests.items()}
    heights = [max(len(found), 1) for found in sets.values()]
    figure = style.new_figure(12, 2.6 + _ROW_INCHES * sum(heights))
    grid = figure.subplots(2, 2, height_ratios=heights, squeeze=False, sharey="row")
    for row, (effect, words) in zip(grid, _EFFECT_WORDS.items(), strict=True):
        for axes, (outcome, outcome_words) in zip(row, OUTCOME_WORDS.items(), strict=True):
            _panel(axes, results, [test for test in tests[effect] if test.outcome == outcome], sets[effect])
            axes.set_title(words, fontsize=12)
            axes.set_xlabel(f"{outcome_words}, points")
    rule, n = results.spec.verdict, results.n_control_items
    handles = [style.mark("real sets", "D", "black", face="white")]
    if rule.control_kinds:
        handles.append(style.mark(f"extreme against each kind (p ≤ {rule.control_alpha:g})", "D", "black"))
    for kind in results.spec.controls.kinds:
        colour, marker = _LOOKS[kind]
        handles.append(style.mark(KIND_WORDS[kind], marker, colour))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    figure.suptitle(f"Real sets against control draws under {rule.edit}, n = {n}", fontsize=14)
    style.save_png(figure, path_png)


def _panel(axes: Any, results: StudyResults, found: Sequence[ControlTest], sets: Sequence[tuple[str, ...]]) -> None:
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    kinds, (low, high) = results.spec.controls.kinds, _range(found, results.spec.verdict.margin)
    # The real sets first, then each kind of control.
    strips = [(place + 0.5) / (len(kinds) + 1) * 0.86 - 0.43 for place in range(len(kinds) + 1)]
    for place, members in enumerate(sets):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F3F3F3", zorder=0)
        tests = {test.kind: test for test in found if test.sets == members}
        for kind, test in tests.items():
            (colour, marker), height = _LOOKS[kind], place + strips[kinds.index(kind) + 1]
            draws = 100 * np.array(test.draws)
            within = draws[(low <= draws) & (draws <= high)]
            axes.scatter(within, [height] * len(within), color=colour, marker=marker, s=22, alpha=0.5, lw=0, zorder=3)
            for edge, arrow, n in ((low, "<", (draws < low).sum()), (high, ">", (draws > high).sum())):
                if n:
                    axes.scatter([edge], [height], color=colour, marker=arrow, s=30, lw=0, zorder=3, clip_on=False)
                    inwards, align = (6, "left") if arrow == "<" else (-6, "right")
                    place_text = {"xytext": (inwards, 0), "textcoords": "offset points", "ha": align, "va": "center"}
                    axes.annotate(f"{n}", (edge, height), **place_text, fontsize=7.5, color=colour)
        if tests:
            value = 100 * next(iter(tests.values())).value
            filled = "black" if _is_extreme(tests, results) else "white"
            axes.plot([value] * 2, [place - 0.45, place + 0.45], color="black", linewidth=0.9, alpha=0.55, zorder=2)
            axes.scatter([value], [place + strips[0]], s=36, marker="D", facecolor=filled, edgecolor="black", zorder=4)
    axes.set_yticks(range(len(sets)), [" + ".join(map(spaced, members)) for members in sets], fontsize=10)
    axes.set_ylim(max(len(sets), 1) - 0.5, -0.5)
    axes.set_xlim(low, high)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.7)
    axes.tick_params(axis="y", length=0)
    style.bare(axes)


def _range(found: Sequence[ControlTest], margin: float) -> tuple[float, float]:
    """What the axis of a panel shows, in points: the real sets, the rule's margin, and all draws but those far out."""
    draws = np.array([draw for test in found for draw in test.draws])
    shown = [-margin, margin, *(test.value for test in found)]
    if len(draws):
        first, third = np.quantile(draws, [0.25, 0.75])
        reach = _FAR_OUT * (third - first)
        shown += draws[(first - reach <= draws) & (draws <= third + reach)].tolist()
    pad = 0.08 * (max(shown) - min(shown))
    return 100 * (min(shown) - pad), 100 * (max(shown) + pad)


def _is_extreme(tests: dict[ControlKind, ControlTest], results: StudyResults) -> bool:
    """Against every kind that the verdict asks for; by the family-wise p where there is one to be had."""
    rule = results.spec.verdict
    if not rule.control_kinds or not set(rule.control_kinds) <= set(tests):
        return False
    asked = [tests[kind] for kind in rule.control_kinds]
    found = [test.p_family if test.effect == "interaction" else test.p for test in asked]
    return all(p is not None and p <= rule.control_alpha for p in found)
