"""Style of the shared figures, and how they are written: the same entry gives the same bytes.

The report of a study has the same helpers for its own figures; importing them would load torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from vsc_eval.files import replacing
from vsc_eval.leaderboard.tables.plain_text import plain

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
"""Of Okabe and Ito's palette, which colour-blind readers can tell apart."""

WIDTH_PX, HEIGHT_PX = 1200, 640
_DPI = 100
_FILLED = 0.97
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@contextmanager
def plain_style() -> Iterator[None]:
    """matplotlib's own defaults, whatever the user's configuration says; what was set before is set again after."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {"font.size": 11, "axes.titlesize": 13, "svg.hashsalt": "vsc-eval", "text.parse_math": False}
        )
        yield


def new_figure() -> Any:
    """A figure of 1200 x 640 px. No pyplot: nothing is kept in matplotlib's global list of figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    figure = Figure(figsize=(WIDTH_PX / _DPI, HEIGHT_PX / _DPI), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def fit(figure: Any, text: Any) -> None:
    """Make the type of a line smaller until the line is within the figure."""
    width = text.get_window_extent(figure.canvas.get_renderer()).width
    text.set_fontsize(text.get_fontsize() * min(1.0, _FILLED * WIDTH_PX / width))


def save(figure: Any, svg: Path, png: Path, title: str) -> None:
    """Write both files, each in one step, without dates and versions in them. Raises BackendError."""
    with replacing(svg) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    with replacing(png) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None, "Title": title})


def label(text: str, limit: int) -> str:
    """Text of an entry as the figure can show it: one line, cut, and with U+FFFD for what its font has no glyph for."""
    return "".join(c if ord(c) in _glyphs() else _UNKNOWN for c in plain(text, limit))


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Characters of DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"))).get_charmap())
