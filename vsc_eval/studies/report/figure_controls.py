"""Effects of the real sets over those of the control draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vsc_eval.analysis.controls import ControlKind, ControlTest, Outcome
from vsc_eval.figures.style import BLUE, GREEN, ORANGE, bare, mark, new_figure, save_png
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.words import KIND_WORDS, OUTCOME_WORDS, spaced

Effect = Literal["single", "interaction"]

_LOOKS: dict[ControlKind, tuple[str, str]] = {
    "random_sets": (BLUE, "o"),
    "random_directions": (ORANGE, "s"),
    "permuted_labels": (GREEN, "^"),
}
_EFFECT_WORDS: dict[Effect, str] = {
    "single": "single sets",
    "interaction": "interaction of unions over the sum of their parts",
}
_ROW_INCHES = 0.5


def controls_figure(results: StudyResults, path_png: Path) -> None:
    """Single sets above, interactions of pairs below; drift to the left, accuracy to the right. Raises BackendError."""
    effects: tuple[Effect, Effect] = ("single", "interaction")
    outcomes: tuple[Outcome, Outcome] = ("drift", "accuracy")
    found = {effect: _sets(results, effect) for effect in effects}
    heights = [max(len(sets), 1) for sets in found.values()]
    figure = new_figure(12, 2.6 + _ROW_INCHES * sum(heights))
    grid = figure.subplots(2, 2, height_ratios=heights, squeeze=False, sharey="row")
    for row, effect in enumerate(effects):
        for column, outcome in enumerate(outcomes):
            axes = grid[row][column]
            _panel(axes, results, effect, outcome, found[effect])
            axes.set_title(_EFFECT_WORDS[effect], fontsize=12)
            axes.set_xlabel(f"{OUTCOME_WORDS[outcome]}, points")
    _legend(figure, results)
    figure.suptitle(
        f"Real sets against control draws under {results.spec.verdict.edit}, n = {results.n_control_items}",
        fontsize=14,
    )
    save_png(figure, path_png)


def _sets(results: StudyResults, effect: Effect) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(test.sets for test in results.controls if test.effect == effect))


def _panel(axes: Any, results: StudyResults, effect: Effect, outcome: Outcome, sets: Sequence[tuple[str, ...]]) -> None:
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    kinds = results.spec.controls.kinds
    for place, members in enumerate(sets):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F3F3F3", zorder=0)
        tests = {
            test.kind: test
            for test in results.controls
            if (test.effect, test.outcome, test.sets) == (effect, outcome, members)
        }
        for kind, test in tests.items():
            colour, marker = _LOOKS[kind]
            axes.scatter(
                [100 * value for value in test.draws],
                [place + _strip(kinds.index(kind) + 1, len(kinds))] * len(test.draws),
                s=22,
                color=colour,
                marker=marker,
                alpha=0.5,
                linewidths=0,
                zorder=3,
            )
        if tests:
            value = 100 * next(iter(tests.values())).value
            filled = "black" if _extreme(tests, results, outcome) else "white"
            axes.plot([value] * 2, [place - 0.45, place + 0.45], color="black", linewidth=0.9, alpha=0.55, zorder=2)
            top = place + _strip(0, len(kinds))
            axes.scatter([value], [top], s=36, marker="D", facecolor=filled, edgecolor="black", zorder=4)
    axes.set_yticks(range(len(sets)), [" + ".join(map(spaced, members)) for members in sets], fontsize=10)
    axes.set_ylim(max(len(sets), 1) - 0.5, -0.5)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.7)
    axes.tick_params(axis="y", length=0)
    bare(axes)


def _strip(place: int, n_kinds: int) -> float:
    """Height within a row: the real sets first, then each kind of control."""
    return (place + 0.5) / (n_kinds + 1) * 0.86 - 0.43


def _extreme(tests: dict[ControlKind, ControlTest], results: StudyResults, outcome: Outcome) -> bool:
    """Against every kind that the verdict asks for; by the family-wise p where there is one to be had."""
    rule = results.spec.verdict
    if not rule.control_kinds or any(kind not in tests for kind in rule.control_kinds):
        return False
    asked = [tests[kind] for kind in rule.control_kinds]
    found = [test.p_family if test.effect == "interaction" else test.p for test in asked]
    return all(p is not None and p <= rule.control_alpha for p in found)


def _legend(figure: Any, results: StudyResults) -> None:
    handles = [mark("real sets", "D", "black", face="white")]
    if results.spec.verdict.control_kinds:
        handles.append(mark(f"extreme against each kind (p ≤ {results.spec.verdict.control_alpha:g})", "D", "black"))
    for kind in results.spec.controls.kinds:
        colour, marker = _LOOKS[kind]
        handles.append(mark(KIND_WORDS[kind], marker, colour))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
