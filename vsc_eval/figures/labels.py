"""Text in figures: what a font can show, lines that fit, names of points put where they hide least."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

_PLACES = tuple((side * x, y) for x in (10, 26) for y in (8, -14, 24, -30, 40, -46, 56, -62) for side in (1, -1))
"""Offsets of a label from its point that are tried, in points of type."""

_FILLED = 0.97
"""Share of a figure's width that a line may have."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"

Point = tuple[float, float]


def drawable(text: str) -> str:
    """Text as a figure can show it: with U+FFFD for what its font has no glyph for."""
    return "".join(c if ord(c) in _glyphs() else _UNKNOWN for c in text)


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Characters of DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"))).get_charmap())


def fit(figure: Any, text: Any) -> None:
    """Make the type of a line smaller until the line is within the figure."""
    width = text.get_window_extent(figure.canvas.get_renderer()).width
    text.set_fontsize(text.get_fontsize() * min(1.0, _FILLED * figure.bbox.width / width))


def label_points(axes: Any, named: Sequence[tuple[str, Point]], points: Sequence[Point]) -> None:
    """Write the names beside their points. Each takes the place that hides least: few other labels, nothing beyond the
    axes, few of all `points` (in data units)."""
    figure = axes.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    marks, frame = axes.transData.transform(list(points)), axes.bbox
    taken: list[Any] = []
    for name, point in named:
        tried = [_label(axes, name, point, offset) for offset in _PLACES]
        boxes = [_extent(each, renderer) for each in tried]
        costs = [
            300 * sum(box.overlaps(other) for other in taken)
            + 500 * (box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1)
            + sum(box.contains(*mark) for mark in marks)
            for box in boxes
        ]
        best = costs.index(min(costs))
        for each in tried[:best] + tried[best + 1 :]:
            each.remove()
        taken.append(boxes[best])


def _label(axes: Any, name: str, point: Point, offset: tuple[int, int]) -> Any:
    text = axes.annotate(
        name,
        point,
        xytext=offset,
        textcoords="offset points",
        ha="left" if offset[0] > 0 else "right",
        fontsize=10,
        arrowprops={"arrowstyle": "-", "color": "#666666", "linewidth": 0.7, "shrinkB": 4},
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        zorder=7,
    )
    text.set_in_layout(False)
    return text


def _extent(text: Any, renderer: Any) -> Any:
    """Of the words alone: with the line to its point, every label of two close points would overlap the other."""
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer).padded(3)
