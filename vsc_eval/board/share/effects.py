"""Headline conditions: change of accuracy against drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.board.records import BoardCondition, Entry
from vsc_eval.figures.labels import drawable, label_points
from vsc_eval.figures.style import BLUE, GREEN, GREY, GRID, VERMILION, bare, cross
from vsc_eval.tables.clean import name
from vsc_eval.tables.numbers import points

_NAME = 34
_MAX_NAMED = 6
_MAX_BARS = 12
_LOOKS: dict[Role, tuple[str, str, float, str]] = {
    "norm_matched": ("^", GREEN, 130, "norm-matched combined edit"),
    "combined": ("s", VERMILION, 70, "combined edit"),
    "single": ("o", BLUE, 34, "one set"),
}
"""Marker, colour, area, words. Drawn in this order: those in one place are all to be seen."""


@dataclass(frozen=True)
class Effect:
    name: str
    role: Role
    drift: float
    """Percent."""
    change: float
    """Percentage points."""
    row: Row


def effects(entry: Entry) -> list[Effect]:
    """Of all items, the headline conditions that have both figures."""
    headline = {c.name: c for c in entry.edits if c.is_headline}
    found = []
    for row in entry.rows:
        if row.scope != "all" or row.condition not in headline or row.drift is None or row.difference is None:
            continue
        if row.drift.share.value is not None and row.difference.value is not None:
            condition = headline[row.condition]
            drift, change = 100 * row.drift.share.value, 100 * row.difference.value
            found.append(Effect(_name(condition), condition.role, drift, change, row))
    return found


def _name(condition: BoardCondition) -> str:
    """The sets and the edit; that a combined edit is norm-matched is told by its mark."""
    sets = " + ".join(each.replace("_", " ") for each in condition.sets)
    words = f"{sets}, {condition.edit}" if sets and condition.edit else condition.name
    return name(words, _NAME)


def draw_effects(axes: Any, entry: Entry) -> None:
    """One mark a condition; intervals where there are few, names of the extremes where there are many."""
    found = effects(entry)
    named = found if len(found) <= _MAX_NAMED else extremes(found)
    axes.axhline(0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for role, (marker, colour, area, words) in _LOOKS.items():
        those = [effect for effect in found if effect.role == role]
        if len(found) <= _MAX_BARS:
            for effect in those:
                point = effect.drift, effect.change
                drift = effect.row.drift.share if effect.row.drift else None
                cross(axes, point, drift, effect.row.difference, colour)
        if those:
            xy = [effect.drift for effect in those], [effect.change for effect in those]
            axes.scatter(
                *xy, marker=marker, s=area, color=colour, edgecolor="white", linewidths=0.6, zorder=3, label=words
            )
    axes.set_xlabel("drift: answers that are not the baseline's, %")
    axes.set_ylabel("change of accuracy, percentage points")
    shown = "all conditions" if len(found) + 1 == len(entry.conditions) else f"{len(found)} headline conditions"
    axes.set_title(f"What the edits change ({shown})")
    axes.margins(0.12)
    axes.grid(color=GRID, linewidth=0.7)
    bare(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(_LOOKS), frameon=False, fontsize=10)
    names = [(drawable(effect.name), (effect.drift, effect.change)) for effect in named]
    label_points(axes, names, [(effect.drift, effect.change) for effect in found])


def extremes(found: Sequence[Effect]) -> list[Effect]:
    """Those that a reader asks for: most and least accurate, of all and of single sets, and the most drift."""
    singles = [effect for effect in found if effect.role == "single"] or list(found)
    picked = [
        max(found, key=lambda e: e.change),
        min(found, key=lambda e: e.change),
        max(found, key=lambda e: e.drift),
        max(singles, key=lambda e: e.change),
        min(singles, key=lambda e: e.change),
    ]
    # Of those in one place only the first is named.
    return list({(effect.drift, effect.change): effect for effect in reversed(picked)}.values())


def effect_words(entry: Entry) -> str:
    """The points in a sentence."""
    found = effects(entry)
    changes, drifts = [effect.row.difference for effect in found], [effect.drift for effect in found]
    least, most = (points(pick(c.value for c in changes if c and c.value is not None)) for pick in (min, max))
    worst = min(found, key=lambda effect: effect.change)
    noun = "edit changes" if len(found) == 1 else "edits change"
    return (
        f"{len(found)} {noun} {min(drifts):.1f}% to {max(drifts):.1f}% of the answers, and accuracy by {least} to "
        f"{most} percentage points; the least accurate is {worst.name}."
    )
