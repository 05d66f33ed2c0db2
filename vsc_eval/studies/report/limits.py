"""Sections 10 and 11: what was excluded, the baseline's cells, reasons for caution, and how to make it all again."""

from __future__ import annotations

import yaml

from vsc_eval.analysis.row_tables import cells_table
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.answer import COMMAND
from vsc_eval.studies.report.caution import cautions
from vsc_eval.studies.report.words import Section, intervals_note
from vsc_eval.synthetic import LETTERS, LEVELS
from vsc_eval.tables.clean import TEXT, code
from vsc_eval.tables.markdown import block, bullets, folded
from vsc_eval.tables.numbers import percent
from vsc_eval.tables.table import Column, columns, table


def limits(results: StudyResults) -> Section:
    heads = (Column("what", "what", limit=TEXT), Column("why", "why", limit=TEXT))
    whole = results.baseline
    return [
        "## 10. Exclusions and limits",
        table("excluded", "Excluded", heads, [(entry.what, entry.why) for entry in results.excluded])
        if results.excluded
        else "Nothing was excluded: every condition has an answer for every item, and every control draw was made.",
        cells_table(
            lambda scope, task, level: results.row("baseline", scope, task, level),
            results.spec.tasks,
            [level for level in LEVELS if results.row("baseline", "level", None, level)],
            f"Accuracy % of the baseline (n = {results.spec.sweep.items_per_cell} items a cell)",
            [
                f"{intervals_note([whole.accuracy])} Guessing gives {percent(1 / len(LETTERS))} %. Unreadable answers: "
                f"{percent(whole.invalid_rate)} % of {whole.n}."
            ],
            intervals=True,
        ),
        "What the data themselves say against too firm a reading:",
        bullets(cautions(results)),
    ]


def reproduce(results: StudyResults) -> Section:
    spec = results.spec
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
    settings = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    return [
        "## 11. How to reproduce",
        f"Save the spec below as `study.yaml` and run {code(COMMAND)}. The report alone: delete `report.md` in the "
        "study's folder and give the same command again.",
        table("versions", "Fingerprints, seeds and versions", columns("what", ("value", "name")), rows, [note]),
        folded("The spec", block(settings, "yaml")),
    ]
