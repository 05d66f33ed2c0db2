"""Conclude: from answers to `results.json`, which holds every number of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vsc_eval.analysis.noise_floor import floor_rows
from vsc_eval.answers.parquet import read_table
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.specs import load_yaml_spec
from vsc_eval.studies.analysis import analyse, statistics_of, study_rows
from vsc_eval.studies.control_sets import CONTROLS_FILE, ControlSets
from vsc_eval.studies.records import Exclusion, StudyResults
from vsc_eval.studies.stage_controls import CONTROLS_STEM
from vsc_eval.studies.stage_probing import read_probing
from vsc_eval.studies.stage_select import read_quality, read_selection
from vsc_eval.studies.stages import INTERVENTION, Stage, Study
from vsc_eval.sweeps.machine import package_versions
from vsc_eval.synthetic import GENERATOR_VERSION

RESULTS_FILE = "results.json"


def read_results(path: Path) -> StudyResults:
    """The results of a finished study's folder."""
    return StudyResults.model_validate_json((path / RESULTS_FILE).read_bytes())


def _run(study: Study) -> list[Path]:
    spec, path = study.spec, study.path
    intervention = load_intervention(path / INTERVENTION)
    table, controls = read_table(path), read_table(path, CONTROLS_STEM)
    control_sets = load_yaml_spec(path / CONTROLS_FILE, ControlSets)
    step = study.counts("conclude", "statistics")
    step(0, 3)
    pairs, tests = analyse(table, controls, spec)
    step(1, 3)
    rows = study_rows(table, spec)
    step(2, 3)
    quality, localized = read_quality(study), read_probing(study)
    results = StudyResults(
        spec=spec,
        model_fingerprint=study.fingerprint,
        sae_fingerprint=intervention.sae.fingerprint(),
        generator_version=GENERATOR_VERSION,
        versions={name: version for name, version in package_versions().items() if version is not None},
        n_items=len(table.items),
        n_control_items=len(controls.items),
        probing=localized,
        layer=intervention.spec.layer,
        reconstruction=quality.reconstruction,
        splice=quality.splice,
        selection=read_selection(study),
        floor=floor_rows(table, statistics_of(spec)),
        rows=rows,
        pairs=pairs,
        controls=tests,
        excluded=tuple(exclusions(control_sets, spec.controls.draws)),
    )
    study.folder.write_text(RESULTS_FILE, results.model_dump_json(indent=1) + "\n")
    step(3, 3)
    return [path / RESULTS_FILE]


def exclusions(controls: ControlSets, wanted: int) -> Iterator[Exclusion]:
    """Control draws that failed; `wanted` is the number of draws of each kind."""
    for failed in controls.failed:
        draws = ", ".join(map(str, failed.draws))
        replaced = "; others took their place" if controls.n_made(failed.kind) == wanted else ""
        yield Exclusion(what=f"{failed.kind}, draws {draws} ({len(failed.draws)} in all){replaced}", why=failed.why)


CONCLUDE = Stage(
    "conclude",
    "statistics and verdicts",
    ("probing", "sae", "select", "sweep", "controls"),
    ("probing", "sae", "select", "sweep", "controls", "statistics", "verdict"),
    _run,
)
