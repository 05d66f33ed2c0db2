"""`report.md`, its figures and its tables, from `results.json` alone."""

from collections.abc import Callable
from pathlib import Path

from vsc_eval.figures.style import plain_style
from vsc_eval.files import replacing
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report import evidence
from vsc_eval.studies.report.answer import answer, asked
from vsc_eval.studies.report.appendix import write_appendix
from vsc_eval.studies.report.figures import report_figures
from vsc_eval.studies.report.limits import limits, numbers
from vsc_eval.studies.words import Section
from vsc_eval.tables.clean import code
from vsc_eval.tables.markdown import paragraphs

REPORT_FILE = "report.md"
FIGURES_FOLDER = "figures"

SECTIONS: tuple[Callable[[StudyResults], Section], ...] = (
    answer,
    asked,
    evidence.verdicts,
    evidence.effects,
    evidence.layer,
    evidence.sae,
    evidence.sets,
    limits,
    numbers,
)
"""In the order of the report."""


def report_text(results: StudyResults) -> str:
    """The whole of report.md."""
    title = f"# Do feature sets of {code(results.spec.model)} interfere?"
    return paragraphs([title, *(part for section in SECTIONS for part in section(results))]) + "\n"


def write_report(results: StudyResults, out: Path) -> list[Path]:
    """Write figures/, tables/ and report.md into the folder `out`, the text last; returns the files.

    The same results give the same bytes. Raises BackendError if a file cannot be written.
    """
    text, drawn = report_text(results), {out / FIGURES_FOLDER / name: d for name, d in report_figures(results).items()}
    with plain_style():
        for file, draw in drawn.items():
            draw(file)
    tables = write_appendix(results, out)
    with replacing(out / REPORT_FILE) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return [*drawn, *tables, out / REPORT_FILE]
