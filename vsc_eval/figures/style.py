"""Style and colours of the figures, squares with numbers, labels put where they hide least; how figures are written:
the same figures give the same bytes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vsc_eval.files import replacing
from vsc_eval.stats import Figure

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW = "#CC79A7", "#56B4E9", "#F0E442"
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

GREY = "#6E6E6E"
"""Dark enough for small type."""
GRID = "#E6E6E6"

_PLACES = tuple((side * x, y) for x in (10, 26) for y in (8, -14, 24, -30, 40, -46, 56, -62) for side in (1, -1))
"""Offsets of a label from its point that are tried, in points of type."""

_FILLED = 0.97
"""Share of a figure's width that a line may have."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"

Point = tuple[float, float]


@contextmanager
def plain_style() -> Iterator[None]:
    """matplotlib's own defaults, whatever the user's configuration says; what was set before is set again after.

    No text is read as mathematics: names of models and sets may hold dollar signs.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        own = {"font.size": 11, "axes.titlesize": 13, "svg.hashsalt": "vsc-eval", "text.parse_math": False}
        matplotlib.rcParams.update(own)
        yield


def new_figure(width: float, height: float, *, pad: tuple[float, float] | None = None) -> Any:
    """A figure of that size in inches, with `pad` inches (w, h) around its parts if they shall not be matplotlib's own.

    No pyplot: nothing is kept in matplotlib's global list of figures.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine() if pad is None else ConstrainedLayoutEngine(w_pad=pad[0], h_pad=pad[1])
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Any, path: Path, *, dpi: int = 140, title: str | None = None) -> None:
    """Write it in one step, without the writer's version in it. Raises BackendError."""
    with replacing(path) as partial:
        figure.savefig(
            partial, format="png", dpi=dpi, metadata={"Software": None, **({"Title": title} if title else {})}
        )


def save_svg(figure: Any, path: Path, *, title: str) -> None:
    """Write it in one step, without date and version in it. Raises BackendError."""
    with replacing(path) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None, "Title": title})


def bare(axes: Any) -> None:
    """Without the frame's upper and right side, the grid behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def cross(axes: Any, point: tuple[float, float], across: Figure | None, up: Figure | None, colour: str) -> None:
    """The intervals of a point, as far as it has them, in percent."""
    look = {"color": colour, "alpha": 0.45, "linewidth": 1.3, "zorder": 2}
    if across and across.low is not None and across.high is not None:
        axes.plot([100 * across.low, 100 * across.high], [point[1]] * 2, **look)
    if up and up.low is not None and up.high is not None:
        axes.plot([point[0]] * 2, [100 * up.low, 100 * up.high], **look)


def mark(label: str, marker: str, colour: str, *, face: str | None = None, size: float = 7) -> Any:
    """A legend's entry for points of that look."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"markeredgecolor": colour, "markerfacecolor": face or colour, "markersize": size}
    return Line2D([], [], linestyle="", label=label, marker=marker, **look)


@dataclass(frozen=True)
class Square:
    text: str
    colour: Any
    """As matplotlib takes it."""
    weight: str = "normal"
    style: str = "normal"


def colour_scale(name: str, low: float, high: float) -> Any:
    """matplotlib's ScalarMappable: `to_rgba` gives the colours of squares, and a figure's colour bar shows it."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(low, high), colormaps[name])


def draw_squares(
    axes: Any,
    squares: Mapping[tuple[int, int], Square],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    font_size: float = 9.5,
) -> None:
    """(row, column) -> its square, the first row on top; what is not there stays empty."""
    from matplotlib.patches import Rectangle

    for (row, column), square in squares.items():
        place = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(place, 1, 1, facecolor=square.colour, edgecolor="white", linewidth=1.5))
        look = {"color": ink(square.colour), "weight": square.weight, "style": square.style, "fontsize": font_size}
        axes.text(column, row, square.text, ha="center", va="center", **look)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def ink(ground: Any) -> str:
    """Black or white, whichever has the larger contrast (WCAG 2.2) with the ground."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(ground)]
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


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
