"""`report.md` and its figures, from `results.json` alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from vsc_eval.figures.style import plain_style
from vsc_eval.files import replacing
from vsc_eval.probing.figure import probe_figure
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report import (
    answer,
    asked,
    controls,
    floor,
    frontier,
    interference,
    layer,
    limits,
    reproduce,
    sae,
    sets,
    sweep,
    verdicts,
)
from vsc_eval.studies.report.figure_controls import controls_figure
from vsc_eval.studies.report.figure_frontier import frontier_figure
from vsc_eval.studies.report.figure_interference import interference_figure
from vsc_eval.studies.report.figure_sets import sets_figure
from vsc_eval.studies.report.markdown import code, paragraphs

REPORT_FILE = "report.md"
FIGURES_FOLDER = "figures"

SECTIONS: tuple[Callable[[StudyResults], str], ...] = (
    answer.section,
    asked.section,
    layer.section,
    sae.section,
    sets.section,
    sweep.section,
    interference.section,
    controls.section,
    frontier.section,
    verdicts.section,
    floor.section,
    limits.section,
    reproduce.section,
)
"""In the order of the report."""


def report_text(results: StudyResults) -> str:
    """The whole of report.md."""
    title = f"# Do feature sets of {code(results.spec.model)} interfere?"
    return paragraphs([title, *(section(results) for section in SECTIONS)]) + "\n"


def report_figures(results: StudyResults) -> dict[str, Callable[[Path], None]]:
    """File name of each figure that the text shows -> what draws it."""
    found: dict[str, Callable[[Path], None]] = {
        layer.FIGURE: partial(probe_figure, results.probing),
        sets.FIGURE: partial(sets_figure, results.selection),
        frontier.FIGURE: partial(frontier_figure, results),
    }
    for edit in results.spec.sweep.edits:
        found[interference.figure_name(edit)] = partial(interference_figure, results, edit)
    if results.controls:
        found[controls.FIGURE] = partial(controls_figure, results)
    return found


def write_report(results: StudyResults, out: Path) -> list[Path]:
    """Write report.md and figures/ into the folder `out`, the text last; returns the files.

    The same results give the same bytes. Raises BackendError if a file cannot be written.
    """
    text, files = report_text(results), []
    with plain_style():
        for name, draw in report_figures(results).items():
            files.append(out / FIGURES_FOLDER / name)
            draw(files[-1])
    with replacing(out / REPORT_FILE) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return [*files, out / REPORT_FILE]
