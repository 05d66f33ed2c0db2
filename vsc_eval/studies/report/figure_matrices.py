"""Matrices of a study: the interaction of every pair, and how alike the feature sets are."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.figures.heat import Square, colour_scale, draw_squares
from vsc_eval.figures.style import new_figure, save_png
from vsc_eval.studies import names
from vsc_eval.studies.records import Selection, StudyResults
from vsc_eval.studies.report.words import pairs_of, size
from vsc_eval.studies.words import spaced
from vsc_eval.tables.numbers import UNDEFINED, decimal, points

# Red is harmful in both: more drift, less accuracy. ColorBrewer's red-blue is safe for colour-blind readers.
_COLOURS = {"drift": "RdBu_r", "accuracy": "RdBu"}
_EXTREME = {"drift": "larger", "accuracy": "smaller"}
_OWN = "#E4E4E4"
_LEAST_SCALE = 0.01


def interference_figure(results: StudyResults, edit: str, path_png: Path) -> None:
    """Rows: outcomes, one colour scale each; columns: forms. Raises BackendError if the file cannot be written."""
    forms = ["raw", "norm_matched"] if results.spec.sweep.norm_match else ["raw"]
    tasks = [spaced(task) for task in results.spec.tasks]
    side = max(4.0, 1.0 + 0.66 * len(tasks))
    figure = new_figure(2.9 + side * len(forms), 2.4 + 2 * side)
    grid = figure.subplots(2, len(forms), squeeze=False, sharex=True, sharey=True)
    for row, (outcome, colours) in enumerate(_COLOURS.items()):
        pairs = [pairs_of(results, edit, form) for form in forms]
        known = [abs(value) for found in pairs for pair in found if (value := _outcome(pair, outcome)[0]) is not None]
        scale = max([*known, _LEAST_SCALE])
        drawn = colour_scale(colours, -100 * scale, 100 * scale)
        for axes, form, found in zip(grid[row], forms, pairs, strict=True):
            squares = _own_effects(results, edit, outcome) | _interactions(results, found, outcome, drawn)
            draw_squares(axes, squares, tasks, tasks)
            # In lines as wide as the panel.
            title = textwrap.wrap(f"{outcome}: {_title(results, form, outcome)}", max(20, 9 * len(tasks)))
            axes.set_title("\n".join(title), fontsize=11.5)
            axes.set_aspect("equal")
            axes.tick_params(labelsize=10.5)
            _slanted(axes)
        bar = figure.colorbar(drawn, ax=list(grid[row]), shrink=0.86, aspect=28)
        bar.set_label(f"{outcome} interaction, points")
    figure.get_layout_engine().set(h_pad=0.12)
    n = size(results.n_items, results.pairs[0].n_clusters)
    figure.suptitle(f"Interaction of unions under {edit}, {n}", fontsize=14)
    figure.supxlabel(
        f"Percentage points; red is harm.  * adjusted p of the interaction ≤ {results.spec.verdict.alpha:g}.\n"
        "Grey diagonal: the single set's own effect, not an interaction.",
        fontsize=11,
    )
    save_png(figure, path_png)


def _title(results: StudyResults, form: str, outcome: str) -> str:
    if form == "raw":
        return "raw union, less the sum of its parts"
    reference = "mean" if results.spec.sweep.norm_match != "max" else _EXTREME[outcome]
    return f"norm-matched union, less the {reference} of its parts"


def _outcome(pair: InteractionRow, outcome: str) -> tuple[float | None, float | None]:
    """The interaction, as a share of items, and its p."""
    if outcome == "drift":
        return pair.drift_interaction.value, pair.p_drift_adjusted
    return pair.accuracy_interaction.value, pair.p_accuracy_adjusted


def _own_effects(results: StudyResults, edit: str, outcome: str) -> dict[tuple[int, int], Square]:
    """The single sets' own drift or accuracy difference, on the diagonal."""
    found = {}
    for place, task in enumerate(results.spec.tasks):
        row = results.row(names.single(task, edit))
        if row is not None and row.drift is not None and row.difference is not None:
            value = row.drift.share.value if outcome == "drift" else row.difference.value
            found[place, place] = Square(points(value), _OWN, style="italic")
    return found


def _interactions(
    results: StudyResults, pairs: list[InteractionRow], outcome: str, drawn: Any
) -> dict[tuple[int, int], Square]:
    found, tasks = {}, results.spec.tasks
    for pair in pairs:
        value, p = _outcome(pair, outcome)
        place = tasks.index(pair.parts[1]), tasks.index(pair.parts[0])
        if value is None:
            found[place] = Square(UNDEFINED, "white")
        else:
            is_shown = p is not None and p <= results.spec.verdict.alpha
            text = points(value) + "*" * is_shown
            found[place] = Square(text, drawn.to_rgba(100 * value), weight="bold" if is_shown else "normal")
    return found


def sets_figure(selection: Selection, path_png: Path) -> None:
    """Jaccard overlap and decoder cosine, [sets, sets] each. Raises BackendError if the file cannot be written."""
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
        draw_squares(axes, squares, sets, sets)
        axes.set_title(title)
        axes.set_aspect("equal")
        _slanted(axes)
        figure.colorbar(drawn, ax=axes, shrink=0.82)
    figure.axes[1].set_yticklabels([])
    save_png(figure, path_png)


def _slanted(axes: Any) -> None:
    for label in axes.get_xticklabels():
        label.set(rotation=40, ha="right", rotation_mode="anchor")
