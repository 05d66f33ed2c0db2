"""What all figures share: style, colours, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vsc_eval.files import replacing

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#7F7F7F",
)
_DPI = 140


@contextmanager
def plain_style() -> Iterator[None]:
    """matplotlib's own defaults, whatever the user's configuration says; what was set before is set again after."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 11, "axes.titlesize": 13, "svg.hashsalt": "vsc-eval"})
        yield


def new_figure(width: float, height: float) -> Any:
    """A figure of that size in inches. No pyplot: nothing is kept in matplotlib's global list of figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path_png: Path) -> None:
    """Write the PNG in one step, without the writer's version in it. Raises BackendError."""
    with replacing(path_png) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})


def bare(axes: Any) -> None:
    """Without the frame's upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
