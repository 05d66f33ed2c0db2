"""Overlap of the feature sets: two heat maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vsc_eval.figures.style import new_figure, save_png
from vsc_eval.studies.records import Selection
from vsc_eval.studies.report.words import spaced


def sets_figure(selection: Selection, path_png: Path) -> None:
    """Jaccard overlap and decoder cosine, [sets, sets] each. Raises BackendError if the file cannot be written."""
    names = [spaced(row.name) for row in selection.sets]
    side = max(4.2, 2.2 + 0.52 * len(names))
    figure = new_figure(2 * side + 1, side + 0.3)
    left, right = figure.subplots(1, 2)
    _heat_map(figure, left, selection.jaccard, names, "Jaccard overlap of features", "Blues", 0.0)
    lowest = min(0.0, min(map(min, selection.decoder_cosine)))
    _heat_map(figure, right, selection.decoder_cosine, names, "decoder cosine (mean of nearest)", "Purples", lowest)
    right.set_yticklabels([])
    save_png(figure, path_png)


def _heat_map(
    figure: Any,
    axes: Any,
    matrix: tuple[tuple[float, ...], ...],
    names: list[str],
    title: str,
    colours: str,
    low: float,
) -> None:
    drawn = axes.imshow(matrix, cmap=colours, vmin=low, vmax=1)
    axes.set_title(title)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    for row in places:
        for column in places:
            value = matrix[row][column]
            axes.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=9.5,
                color="white" if value > low + 0.6 * (1 - low) else "black",
            )
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, shrink=0.82)
