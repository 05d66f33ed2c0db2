"""Figures of a run, and of a feature over a picture. Each takes the Axes to draw on, and gives them back."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from vsc_eval.edit_kinds import EDITS
from vsc_eval.errors import SpecError
from vsc_eval.figures.style import BLUE, GREEN, GREY, GRID, ORANGE, PURPLE, SKY, VERMILION, bare, label_points
from vsc_eval.specs import BASELINE

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_MARKERS = {"single": "o", "combined": "s", "norm_matched": "^"}
_LABELLED = 12
"""More names than these hide each other."""


class Plots:
    """The figures of a run, as `run.plot`."""

    def __init__(self, summary: Callable[[], pd.DataFrame], name: str) -> None:
        """summary: gives that of the run; name: its model's."""
        self._summary = summary
        self._name = name

    def _rows(self) -> tuple[pd.DataFrame, Any, str]:
        """All rows, that of the baseline, and the figure's title."""
        rows = self._summary()
        base = rows[rows["condition"] == BASELINE].iloc[0]
        return rows, base, f"{self._name}, n = {base['n']} items"

    def dose_response(
        self,
        outcome: Literal["accuracy", "difference", "drift"] = "accuracy",
        *,
        kind: str = "scale",
        sets: Iterable[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """The outcome (percent, or points) against the strength of the edit, a line for each set and way of editing,
        with intervals. `ablate` is `scale` by 0, and the baseline is its 1. sets: some of them, as `counting+logic`.
        Raises SpecError for an unknown kind, or one that the run has no edit of."""
        rows, base, title = self._rows()
        # Where an edit changes nothing, the baseline is a point of its line.
        neutral = EDITS.get(kind).neutral
        kinds = (kind, "ablate") if kind == "scale" else (kind,)
        wanted = rows["edit_kind"].isin(kinds) & (rows["sets"].isin(list(sets)) if sets is not None else True)
        if not wanted.any():
            raise SpecError(
                f"The run has no edit of the kind '{kind}' that could be drawn.",
                hint="Ask for several strengths: conditions=[counting.scale(x) for x in (0, 0.5, 2, 4)].",
            )
        ax = ax if ax is not None else _axes()
        for place, (name, line) in enumerate(rows[wanted].groupby(_without_strength(rows[wanted], kinds), sort=False)):
            points = line[["alpha", outcome, f"{outcome}_low", f"{outcome}_high"]]
            if neutral is not None and not (line["alpha"] == neutral).any():
                own = [base[c] if outcome == "accuracy" else 0.0 for c in points.columns[1:]]
                points = pd.concat([points, pd.DataFrame([[neutral, *own]], columns=points.columns)])
            x, y, low, high = (points.sort_values("alpha")[column].to_numpy(float) for column in points)
            colour = _COLOURS[place % len(_COLOURS)]
            ax.plot(x, 100 * y, marker="o", color=colour, label=name)
            ax.fill_between(x, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
        if outcome == "accuracy":
            ax.axhline(100 * base["accuracy"], color=GREY, linewidth=0.9, linestyle="--", label=BASELINE)
        unit = "points" if outcome == "difference" else "%"
        _finish(ax, f"{kind} (strength)", f"{outcome}, {unit}", title)
        ax.legend(frameon=False)
        return ax

    def accuracy_drift(self, ax: Any = None) -> Any:
        """Accuracy against drift (the share of answers that are not the baseline's), in percent, each condition a point
        with both intervals."""
        rows, base, title = self._rows()
        ax = ax if ax is not None else _axes()
        ax.axhline(100 * base["accuracy"], color=GREY, linewidth=0.9, zorder=1)
        ax.scatter([0], [100 * base["accuracy"]], marker="*", s=220, color="black", zorder=4)
        edited = rows[rows["condition"] != BASELINE]
        for place, (_, same) in enumerate(edited.groupby("edit", sort=False)):
            colour = _COLOURS[place % len(_COLOURS)]
            look = {"color": colour, "alpha": 0.25, "linewidth": 1, "zorder": 2}
            ax.vlines(100 * same["drift"], 100 * same["accuracy_low"], 100 * same["accuracy_high"], **look)
            ax.hlines(100 * same["accuracy"], 100 * same["drift_low"], 100 * same["drift_high"], **look)
            for role, marker in _MARKERS.items():
                alike = same[same["role"] == role]
                face = "none" if role == "norm_matched" else colour
                x, y = 100 * alike["drift"], 100 * alike["accuracy"]
                ax.scatter(x, y, marker=marker, s=45, facecolor=face, edgecolor=colour, zorder=3)
        _finish(ax, "drift: answers that are not the baseline's, %", "accuracy, %", title)
        points = [(0.0, 100 * base["accuracy"]), *zip(100 * edited["drift"], 100 * edited["accuracy"], strict=True)]
        first: dict[tuple[float, float], str] = {}
        for name, point in zip([BASELINE, *edited["condition"]], points, strict=True):
            first.setdefault(point, name)
        # Those furthest from the baseline; of some in one place the first.
        far = sorted(first, key=lambda point: -abs(point[0]) - abs(point[1] - points[0][1]))[: _LABELLED - 1]
        label_points(ax, [(first[point], point) for point in dict.fromkeys([points[0], *far])], points)
        return ax


def over_picture(patches: npt.NDArray[np.float32], image: Image.Image | None, title: str, ax: Any = None) -> Any:
    """Values [rows, columns] as a heat map over the picture, grey where nothing is."""
    ax = ax if ax is not None else _axes(4.4, 4)
    rows, columns = patches.shape
    extent = (0, columns, rows, 0)
    if image is not None:
        ax.imshow(image.convert("L"), extent=extent, cmap="gray", vmin=0, vmax=255, aspect="auto")
    shown = np.where(patches > 0, patches, np.nan)
    heat = ax.imshow(shown, extent=extent, cmap="plasma", alpha=0.65, vmin=0, interpolation="nearest", aspect="auto")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title)
    ax.figure.colorbar(heat, ax=ax, label="activation")
    if image is not None:
        ax.set_box_aspect(image.height / image.width)
    return ax


def _without_strength(rows: pd.DataFrame, kinds: tuple[str, ...]) -> pd.Series:
    """The conditions' expressions without the edit itself: one and the same for the doses of a line."""
    names = rows["condition"].astype(str)
    return names.str.replace(rf":({'|'.join(kinds)})(=[^:]*)?(?=:|$)", "", regex=True)


def _axes(width: float = 6.4, height: float = 4.4) -> Any:
    """New Axes, of pyplot: a notebook shows them by itself."""
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def _finish(ax: Any, x: str, y: str, title: str) -> None:
    ax.set(xlabel=x, ylabel=y, title=title)
    ax.title.set_parse_math(False)  # a model's name may hold dollar signs
    ax.grid(color=GRID, linewidth=0.7)
    ax.margins(0.08)
    bare(ax)
