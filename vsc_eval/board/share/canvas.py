"""The shared figures' size, colours and text."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from vsc_eval.tables.clean import name

WIDTH_PX, HEIGHT_PX = 1200, 640
DPI = 100
_FILLED = 0.97
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def fit(figure: Any, text: Any) -> None:
    """Make the type of a line smaller until the line is within the figure."""
    width = text.get_window_extent(figure.canvas.get_renderer()).width
    text.set_fontsize(text.get_fontsize() * min(1.0, _FILLED * WIDTH_PX / width))


def label(text: str, limit: int) -> str:
    """Text of an entry as the figure can show it: one line, cut, and with U+FFFD for what its font has no glyph for."""
    return "".join(c if ord(c) in _glyphs() else _UNKNOWN for c in name(text, limit))


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Characters of DejaVu Sans, which comes with matplotlib."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"))).get_charmap())
