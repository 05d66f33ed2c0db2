"""The settings of a study that takes seconds."""

from __future__ import annotations

from pathlib import Path

from small_vlm import write_small_vlm

from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.train import TrainConfig
from vsc_eval.studies.spec import (
    ControlOptions,
    ProbingOptions,
    SAEOptions,
    SelectOptions,
    StatisticsOptions,
    StudySpec,
    SweepOptions,
    VerdictRule,
)


def write_study_model(folder: Path) -> Path:
    """A small untrained model of three layers."""
    return write_small_vlm(folder, n_layers=3, vision_mlp=48, d_mlp=48)


def tiny_spec(model: Path) -> StudySpec:
    """Two tasks; edits so strong that an untrained model's answers change."""
    return StudySpec(
        model=str(model),
        tasks=("counting", "existence"),
        probing=ProbingOptions(items_per_cell=8, test_items_per_cell=4, folds=2),
        sae=SAEOptions(
            items_per_cell=4,
            train=TrainConfig(d_sae=64, k=4, n_tokens=6_000, batch_size=500, mix_tokens=1_000, warmup_steps=2),
        ),
        select=SelectOptions(items_per_cell=8, rule=SelectionRule(m=4, min_frequency=0.0), stability_draws=3),
        sweep=SweepOptions(items_per_cell=8, edits=("scale=40", "ablate")),
        controls=ControlOptions(items_per_cell=4, draws=2),
        statistics=StatisticsOptions(draws=200, permutations=200),
        verdict=VerdictRule(edit="scale=40", control_kinds=()),
        batch_size=8,
    )
