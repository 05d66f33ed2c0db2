"""Localize: probe every decoder layer, pick one by the spec's rule."""

from __future__ import annotations

from pathlib import Path

from vsc_eval.probing.result import RESULT_FILE, LocalizeResult
from vsc_eval.probing.run import run_localize
from vsc_eval.probing.spec import LayerRule, LocalizeSpec
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stages import Stage, Study

FOLDER = "localize"


def localize_spec(spec: StudySpec) -> LocalizeSpec:
    """The study's options as `vsc-eval localize` takes them."""
    options = spec.localize
    return LocalizeSpec(
        model=spec.model,
        revision=spec.revision,
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
        batch_size=spec.batch_size,
    )


def read_localize(study: Study) -> LocalizeResult:
    """What the finished stage found."""
    return LocalizeResult.model_validate_json((study.path / FOLDER / RESULT_FILE).read_bytes())


def _run(study: Study) -> list[Path]:
    folder = study.path / FOLDER
    result = run_localize(localize_spec(study.spec), folder, vlm=study.vlm, progress=study.steps("localize"))
    study.say(f"Localize: {result.chosen_by}")
    return [folder / RESULT_FILE]


LOCALIZE = Stage("localize", "probe every decoder layer and pick one", (), ("localize",), _run, bound=FOLDER)
