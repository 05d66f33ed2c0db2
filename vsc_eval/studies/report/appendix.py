"""The tables beside a report: every record of results.json as a row of a CSV file, and the spec as it was run."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path

from vsc_eval.files import replacing
from vsc_eval.records import Record
from vsc_eval.specs import yaml_text
from vsc_eval.studies.records import StudyResults
from vsc_eval.tables.clean import TEXT
from vsc_eval.tables.csv import record_data, to_csv

FOLDER = "tables"

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


def write_appendix(results: StudyResults, out: Path) -> list[Path]:
    """Write the folder of tables into `out`, those without any row left out; returns the files. Raises BackendError."""
    found = {name: of(results) for name, (of, _) in TABLES.items()}
    texts = {f"{name}.csv": to_csv(record_data(records), TEXT) for name, records in found.items() if records}
    texts["study.yaml"] = yaml_text(results.spec.model_dump(mode="json"))
    for name, text in texts.items():
        with replacing(out / FOLDER / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8", newline="")
    return [out / FOLDER / name for name in texts]
