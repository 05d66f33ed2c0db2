"""Select: one feature set per task, how alike the sets are, and how firmly the items choose them."""

from __future__ import annotations

from pathlib import Path

from vsc_eval.features.kept import load_harvest
from vsc_eval.features.options import SelectSpec
from vsc_eval.features.sae_select import (
    OVERLAP_FILE,
    QUALITY_FILE,
    STABILITY_FILE,
    SAEQuality,
    select_sets,
)
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.interventions.intervention import INTERVENTION_FILE
from vsc_eval.interventions.overlap import SetOverlap
from vsc_eval.interventions.stability import Stability
from vsc_eval.specs import FeatureSet, InterventionSpec, load_yaml_spec
from vsc_eval.studies.conditions import default_edit
from vsc_eval.studies.records import Selection, SetRow
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stage_sae import sae_folder
from vsc_eval.studies.stages import INTERVENTION, Stage, Study


def select_spec(spec: StudySpec) -> SelectSpec:
    """The study's options as `vsc-eval sae select` takes them."""
    return SelectSpec(
        **spec.model_settings(),
        rule=spec.select.rule,
        default_edit=default_edit(spec),
        tasks=spec.tasks,
        items_per_cell=spec.select.items_per_cell,
        stability_draws=spec.select.stability_draws,
        seed=spec.seed,
    )


def read_harvest(study: Study) -> Harvest:
    """What every feature did on the selection items."""
    return load_harvest(study.path / INTERVENTION)


def read_quality(study: Study) -> SAEQuality:
    """The SAE on the selection items."""
    return SAEQuality.model_validate_json((study.path / INTERVENTION / QUALITY_FILE).read_bytes())


def read_selection(study: Study) -> Selection:
    """The sets with all that is known of them."""
    folder = study.path / INTERVENTION
    intervention = load_yaml_spec(folder / INTERVENTION_FILE, InterventionSpec)
    overlap = SetOverlap.model_validate_json((folder / OVERLAP_FILE).read_bytes())
    stability = Stability.model_validate_json((folder / STABILITY_FILE).read_bytes())
    assert overlap.names == tuple(s.name for s in intervention.sets) == tuple(s.name for s in stability.sets)
    return Selection(
        sets=tuple(_row(chosen, stability, place) for place, chosen in enumerate(intervention.sets)),
        jaccard=overlap.jaccard,
        decoder_cosine=overlap.decoder_cosine,
        stability_draws=stability.draws,
    )


def _row(chosen: FeatureSet, stability: Stability, place: int) -> SetRow:
    assert chosen.task is not None
    found = stability.sets[place]
    return SetRow(
        name=chosen.name,
        task=chosen.task,
        indices=chosen.indices,
        scores=chosen.scores,
        stability_mean=found.jaccard_mean,
        stability_low=found.jaccard_low,
        stability_high=found.jaccard_high,
    )


def _run(study: Study) -> list[Path]:
    folder = study.path / INTERVENTION
    selected = select_sets(
        select_spec(study.spec), sae_folder(study), folder, vlm=study.vlm, progress=study.steps("select")
    )
    fvu = selected.quality.reconstruction.fvu
    words = "undefined" if fvu is None else f"{fvu:.3f}"
    study.say(f"Select: {len(selected.intervention.sets)} sets; the SAE's FVU on the `select` split is {words}")
    return [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]


SELECT = Stage("select", "one feature set per task", ("sae",), ("sae", "select", "verdict"), _run)
