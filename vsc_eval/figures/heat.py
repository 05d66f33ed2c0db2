"""Matrices as coloured squares with their numbers in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
