"""The interference matrices of one edit: drift and accuracy, raw and norm-matched."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsc_eval.analysis.controls import Outcome
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.figures.style import new_figure, save_png
from vsc_eval.studies import names
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.words import signed, size, spaced

# Red is harmful in both: more drift, less accuracy. ColorBrewer's red-blue is safe for colour-blind readers.
_COLOURS: dict[Outcome, str] = {"drift": "RdBu_r", "accuracy": "RdBu"}
_FORMS: dict[Form, str] = {"raw": "raw union, less the sum of its parts", "norm_matched": "norm-matched union"}
_MATCHED = {"mean": "less the mean of its parts", "max": "less the {extreme} of its parts"}
_EXTREME = {"drift": "larger", "accuracy": "smaller"}
_OWN = "#E4E4E4"
_LEAST_SCALE = 0.01


@dataclass(frozen=True)
class _Cell:
    """An interaction, as a share of items."""

    value: float | None
    p: float | None


def interference_figure(results: StudyResults, edit: str, path_png: Path) -> None:
    """Rows: outcomes, one colour scale each; columns: forms. Raises BackendError if the file cannot be written."""
    forms: list[Form] = ["raw", "norm_matched"] if results.spec.sweep.norm_match else ["raw"]
    tasks = results.spec.tasks
    side = max(4.0, 1.0 + 0.66 * len(tasks))
    figure = new_figure(2.9 + side * len(forms), 2.4 + 2 * side)
    grid = figure.subplots(2, len(forms), squeeze=False, sharex=True, sharey=True)
    outcomes: tuple[Outcome, ...] = ("drift", "accuracy")
    for row, outcome in enumerate(outcomes):
        cells = [_cells(results, edit, form, outcome) for form in forms]
        known = [abs(cell.value) for found in cells for cell in found.values() if cell.value is not None]
        scale = 100 * max([*known, _LEAST_SCALE])
        for column, form in enumerate(forms):
            drawn = _panel(grid[row][column], results, edit, outcome, cells[column], scale)
            grid[row][column].set_title(
                _wrapped(f"{outcome}: {_title(results, form, outcome)}", len(results.spec.tasks)), fontsize=11.5
            )
        bar = figure.colorbar(drawn, ax=list(grid[row]), shrink=0.86, aspect=28)
        bar.set_label(f"{outcome} interaction, points")
    figure.get_layout_engine().set(h_pad=0.12)
    alpha = results.spec.verdict.alpha
    n = size(results.n_items, _n_clusters(results))
    figure.suptitle(f"Interaction of unions under {edit}, {n}", fontsize=14)
    figure.supxlabel(
        f"Percentage points; red is harm.  * adjusted p of the interaction ≤ {alpha:g}.\n"
        "Grey diagonal: the single set's own effect, not an interaction.",
        fontsize=11,
    )
    save_png(figure, path_png)


def _wrapped(title: str, n_tasks: int) -> str:
    """In lines as wide as a panel of so many tasks."""
    return "\n".join(textwrap.wrap(title, max(20, 9 * n_tasks)))


def _n_clusters(results: StudyResults) -> int:
    return results.pairs[0].n_clusters


def _title(results: StudyResults, form: Form, outcome: Outcome) -> str:
    if form == "raw":
        return _FORMS[form]
    return f"{_FORMS[form]}, {_MATCHED[results.spec.sweep.norm_match or 'mean'].format(extreme=_EXTREME[outcome])}"


def _cells(results: StudyResults, edit: str, form: Form, outcome: Outcome) -> dict[tuple[str, str], _Cell]:
    pairs = [pair for pair in results.pairs if pair.edit == edit and pair.form == form]
    return {pair.parts: _cell(pair, outcome) for pair in pairs}


def _cell(pair: InteractionRow, outcome: Outcome) -> _Cell:
    if outcome == "drift":
        return _Cell(pair.drift_interaction.value, pair.p_drift_adjusted)
    return _Cell(pair.accuracy_interaction.value, pair.p_accuracy_adjusted)


def _own(results: StudyResults, task: str, edit: str, outcome: Outcome) -> float | None:
    """The single set's own drift or accuracy difference."""
    row = results.row(names.single(task, edit))
    if row is None or row.drift is None or row.difference is None:
        return None
    return row.drift.share.value if outcome == "drift" else row.difference.value


def _panel(
    axes: Any,
    results: StudyResults,
    edit: str,
    outcome: Outcome,
    cells: dict[tuple[str, str], _Cell],
    scale: float,
) -> Any:
    """`scale` in points, at which the colours end."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    tasks = results.spec.tasks
    drawn: Any = ScalarMappable(Normalize(-scale, scale), colormaps[_COLOURS[outcome]])

    def square(row: int, column: int, colour: Any, text: str, **look: Any) -> None:
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
        axes.text(column, row, text, ha="center", va="center", fontsize=9.5, **look)

    for place, task in enumerate(tasks):
        own = _own(results, task, edit, outcome)
        if own is not None:
            square(place, place, _OWN, signed(own), style="italic", color="#444444")
    for (a, b), cell in cells.items():
        row, column = tasks.index(b), tasks.index(a)
        if cell.value is None:
            square(row, column, "white", "–", color="black")
            continue
        star = "*" if cell.p is not None and cell.p <= results.spec.verdict.alpha else ""
        dark = abs(100 * cell.value) > 0.62 * scale
        square(
            row,
            column,
            drawn.to_rgba(100 * cell.value),
            signed(cell.value) + star,
            color="white" if dark else "black",
            weight="bold" if star else "normal",
        )
    labels = [spaced(task) for task in tasks]
    axes.set_xticks(range(len(tasks)), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(tasks)), labels)
    axes.set_xlim(-0.5, len(tasks) - 0.5)
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.tick_params(length=0, labelsize=10.5)
    axes.spines[:].set_visible(False)
    return drawn
