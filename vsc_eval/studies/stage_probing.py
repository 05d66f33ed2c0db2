"""Probing: probe every decoder layer, pick one by the spec's rule."""

from __future__ import annotations

from pathlib import Path

from vsc_eval.probing.result import RESULT_FILE, ProbingResult
from vsc_eval.probing.run import run_probing
from vsc_eval.probing.spec import LayerRule, ProbingSpec
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stages import Stage, Study

FOLDER = "probing"


def probing_spec(spec: StudySpec) -> ProbingSpec:
    """The study's options as `vsc-eval probe` takes them."""
    options = spec.probing
    return ProbingSpec(
        **spec.model_settings(),
        tasks=spec.tasks,
        items_per_cell=options.items_per_cell,
        test_items_per_cell=options.test_items_per_cell,
        folds=options.folds,
        rule=LayerRule(
            kind=options.rule,
            pooling=options.pooling,
            tolerance=options.tolerance if options.rule == "earliest" else None,
            layer=options.layer,
        ),
        seed=spec.seed,
    )


def read_probing(study: Study) -> ProbingResult:
    """What the finished stage found."""
    return ProbingResult.model_validate_json((study.path / FOLDER / RESULT_FILE).read_bytes())


def _run(study: Study) -> list[Path]:
    folder = study.path / FOLDER
    result = run_probing(probing_spec(study.spec), folder, vlm=study.vlm, progress=study.steps("probing"))
    study.say(f"Probing: {result.chosen_by}")
    return [folder / RESULT_FILE]


PROBING = Stage("probing", "probe every decoder layer and pick one", (), ("probing",), _run, bound=FOLDER)
