"""SAE: train one on the chosen layer."""

from __future__ import annotations

from pathlib import Path

from vsc_eval.features.options import SAETrainSpec
from vsc_eval.features.sae_train import CHECKPOINT_FILE, train_sae_for
from vsc_eval.sae.train import TrainProgress
from vsc_eval.seeding import derived_seed
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stage_probing import read_probing
from vsc_eval.studies.stages import INTERVENTION, Stage, Study


def train_spec(spec: StudySpec, layer: int) -> SAETrainSpec:
    """The study's options as `vsc-eval sae train` takes them."""
    train = spec.sae.train
    return SAETrainSpec(
        **spec.model_settings(),
        layer=layer,
        positions=spec.sae.positions,
        tasks=spec.tasks,
        items_per_cell=spec.sae.items_per_cell,
        train=train.model_copy(update={"seed": derived_seed("study sae", spec.seed, train.seed)}),
    )


def sae_folder(study: Study) -> Path:
    """Where the study's SAE is."""
    return study.path / INTERVENTION / "sae"


def _run(study: Study) -> list[Path]:
    folder = sae_folder(study)
    spec = train_spec(study.spec, read_probing(study).layer)
    advance = study.counts("sae", "tokens")

    def show(step: TrainProgress) -> None:
        advance(step.n_tokens, spec.train.n_tokens)

    result = train_sae_for(spec, folder, vlm=study.vlm, callback=show)
    if result is not None:
        study.say(
            f"SAE: {result.n_tokens:,} tokens, FVU {result.final_fvu:.3f} on the last batch, {result.n_dead} dead"
        )
    return [file for file in folder.iterdir() if file.is_file() and file.name != CHECKPOINT_FILE]


SAE_STAGE = Stage("sae", "train the SAE of that layer", ("probing",), ("sae",), _run, bound=f"{INTERVENTION}/sae")
