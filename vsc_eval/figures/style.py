"""Style and colours of the figures, and how they are written: the same figures give the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
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
    metadata = {"Software": None} | ({"Title": title} if title else {})
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=dpi, metadata=metadata)


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
