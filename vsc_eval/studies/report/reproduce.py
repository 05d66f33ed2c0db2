"""Section 11: what is needed to make the same numbers again."""

from __future__ import annotations

from typing import Any

import yaml

from vsc_eval.analysis.run_tables import TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.asked import COMMAND
from vsc_eval.studies.report.markdown import block, code, folded, paragraphs, table

_FILE = "study.yaml"


def section(results: StudyResults) -> str:
    spec = results.spec
    rows = [
        ("model", code(spec.model)),
        ("model fingerprint", code(results.model_fingerprint)),
        ("SAE fingerprint", code(results.sae_fingerprint)),
        ("benchmark generator", code(results.generator_version)),
        ("seed", str(spec.seed)),
        ("bootstrap draws", str(spec.statistics.draws)),
        ("sign-flip permutations", str(spec.statistics.permutations)),
        *((name, code(version)) for name, version in results.versions.items()),
    ]
    text = TextTable(
        title="Fingerprints, seeds and versions",
        columns=("", "value"),
        rows=tuple(rows),
        notes=(
            "Every random stream is derived from the seed by name. The same spec, versions and kind of machine give "
            "the same numbers; other hardware or another number of threads may differ in the last digits.",
        ),
    )
    return paragraphs(
        [
            "## 11. How to reproduce",
            f"Save the spec below as {code(_FILE)} and run {code(COMMAND)}. The report alone: delete `report.md` in "
            "the study's folder and give the same command again.",
            table(text),
            folded("The spec", block(_yaml(results.settings()), "yaml")),
        ]
    )


def _yaml(settings: dict[str, Any]) -> str:
    return str(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=110))
