"""`report.md` and what lies beside it, from `results.json` alone: figures, and every record as a row of a CSV file."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path

from vsc_eval.figures.style import plain_style
from vsc_eval.files import replacing
from vsc_eval.records import Record
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report import evidence
from vsc_eval.studies.report.answer import COMMAND, answer, asked
from vsc_eval.studies.report.figures import report_figures
from vsc_eval.studies.report.limits import limits
from vsc_eval.studies.words import Section
from vsc_eval.tables.clean import TEXT, code
from vsc_eval.tables.formats import bullets, paragraphs, record_data, to_csv
from vsc_eval.tables.numbers import counted
from vsc_eval.tables.table import columns, table
from vsc_eval.yaml_files import yaml_text

REPORT_FILE = "report.md"
FIGURES_FOLDER = "figures"
TABLES_FOLDER = "tables"

TABLES: dict[str, tuple[Callable[[StudyResults], Sequence[Record]], str]] = {
    "conditions": (
        attrgetter("rows"),
        "every condition against the baseline on all items, each task, each level, on and off target (the sets' own "
        "tasks, all others), and the baseline in each cell: accuracy, difference, drift and its parts in items, KL "
        "(baseline || condition) in nats at the first answer token, change of the gold option's margin in nats, shifts "
        "||h' - h|| / ||h|| at the edited and the last layer. McNemar's test is exact, takes items as independent, not "
        "as orbits, and is not adjusted; where it and the sign-flip test differ, the latter counts.",
    ),
    "pairs": (
        attrgetter("pairs"),
        "every combined edit in every form: its interactions, their tests, the interaction "
        "over Bliss, the verdict and the numbers that decided it.",
    ),
    "controls": (attrgetter("controls"), "every effect of the real sets beside each kind of control, with all draws."),
    "noise_floor": (
        attrgetter("floor"),
        "drift where nothing was done: a second baseline in batches of another size and order, and edits of strength "
        "zero (scale=1). The floor is the largest of these drifts.",
    ),
    "probes": (attrgetter("probing.rows"), "accuracy of every probe and its controls by layer; -1: the embeddings."),
    "layers": (attrgetter("probing.choices"), "the layer that the rule picks at each pooling."),
    "sae": (attrgetter("reconstruction", "splice"), "what the SAE keeps of the activations and of the model."),
    "sets": (attrgetter("selection.sets"), "features and scores of every set, and how stable it is."),
    "overlap": (attrgetter("selection.overlaps"), "Jaccard overlap and decoder cosine of every two sets."),
    "excluded": (attrgetter("excluded"), "what was excluded, and why."),
}
"""File -> its records in the results, and what they are."""


def numbers(results: StudyResults) -> Section:
    """Every table of the appendix, and what is needed to make the study again."""
    spec = results.spec
    files = [
        f"[{name}.csv]({TABLES_FOLDER}/{name}.csv): {counted(len(records), 'row')}, {about}"
        for name, (of, about) in TABLES.items()
        if (records := of(results))
    ]
    rows = [
        ("model", spec.model),
        ("model fingerprint", results.model_fingerprint),
        ("SAE fingerprint", results.sae_fingerprint),
        ("benchmark generator", results.generator_version),
        ("seed", str(spec.seed)),
        ("bootstrap draws", str(spec.statistics.draws)),
        ("sign-flip permutations", str(spec.statistics.permutations)),
        *results.versions.items(),
    ]
    note = (
        "Every random stream is derived from the seed by name. The same spec, versions and kind of machine give the "
        "same numbers; other hardware or another number of threads may differ in the last digits."
    )
    return [
        "## Every number",
        "Shares and differences are between 0 and 1; columns are named as in [results.json](results.json).",
        bullets(files),
        "## How to reproduce",
        f"Take [study.yaml]({TABLES_FOLDER}/study.yaml), the spec, and run {code(COMMAND)}. The report alone: delete "
        "`report.md` in the study's folder and give the same command again.",
        table("versions", "Fingerprints, seeds and versions", columns("what", ("value", "name")), rows, [note]),
    ]


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
    """Write figures/, tables/ (those that have a row) and report.md into the folder `out`, the text last; returns the
    files. The same results give the same bytes. Raises BackendError if a file cannot be written."""
    found = {name: of(results) for name, (of, _) in TABLES.items()}
    texts = {f"{TABLES_FOLDER}/{name}.csv": to_csv(record_data(rows), TEXT) for name, rows in found.items() if rows}
    texts[f"{TABLES_FOLDER}/study.yaml"] = yaml_text(results.spec.model_dump(mode="json"))
    texts[REPORT_FILE] = report_text(results)
    figures = {f"{FIGURES_FOLDER}/{name}": draw for name, draw in report_figures(results).items()}
    with plain_style():
        for name, draw in figures.items():
            draw(out / name)
    for name, text in texts.items():
        with replacing(out / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="")
    return [out / name for name in (*figures, *texts)]
