"""`report.md` and its figures, from `results.json` alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from vsc_eval.figures.style import plain_style
from vsc_eval.files import write_text
from vsc_eval.probing.show import probe_figure
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report import pairs, preparation, sweep
from vsc_eval.studies.report.answer import answer, asked
from vsc_eval.studies.report.figures import controls_figure, frontier_figure, interference_figure, sets_figure
from vsc_eval.studies.report.limits import limits, reproduce
from vsc_eval.studies.report.words import Section
from vsc_eval.tables.clean import code
from vsc_eval.tables.markdown import paragraphs

REPORT_FILE = "report.md"
FIGURES_FOLDER = "figures"

SECTIONS: tuple[Callable[[StudyResults], Section], ...] = (
    answer,
    asked,
    preparation.layer,
    preparation.sae,
    preparation.sets,
    sweep.sweep,
    pairs.interference,
    pairs.controls,
    sweep.frontier,
    pairs.verdicts,
    sweep.floor,
    limits,
    reproduce,
)
"""In the order of the report."""


def report_text(results: StudyResults) -> str:
    """The whole of report.md."""
    title = f"# Do feature sets of {code(results.spec.model)} interfere?"
    return paragraphs([title, *(part for section in SECTIONS for part in section(results))]) + "\n"


def report_figures(results: StudyResults) -> dict[str, Callable[[Path], None]]:
    """File name of each figure that the text shows -> what draws it."""
    edits = {pairs.interference_figure_name(edit): edit for edit in results.spec.sweep.edits}
    found: dict[str, Callable[[Path], None]] = {
        preparation.LAYER_FIGURE: partial(probe_figure, results.probing),
        preparation.SETS_FIGURE: partial(sets_figure, results.selection),
        sweep.FRONTIER_FIGURE: partial(frontier_figure, results),
        **{name: partial(interference_figure, results, edit) for name, edit in edits.items()},
    }
    return found | {pairs.CONTROLS_FIGURE: partial(controls_figure, results)} if results.controls else found


def write_report(results: StudyResults, out: Path) -> list[Path]:
    """Write report.md and figures/ into the folder `out`, the text last; returns the files.

    The same results give the same bytes. Raises BackendError if a file cannot be written.
    """
    text, files = report_text(results), []
    with plain_style():
        for name, draw in report_figures(results).items():
            files.append(out / FIGURES_FOLDER / name)
            draw(files[-1])
    write_text(out / REPORT_FILE, text)
    return [*files, out / REPORT_FILE]
