"""`vsc-eval study`: the stages one after the other, each finished one left alone."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from vsc_eval.errors import SpecError, known_names
from vsc_eval.progress import Advance, progress_shown
from vsc_eval.studies.conclude import CONCLUDE, read_results
from vsc_eval.studies.folder import StudyFolder
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stage_controls import CONTROLS
from vsc_eval.studies.stage_probing import PROBING
from vsc_eval.studies.stage_report import REPORT
from vsc_eval.studies.stage_sae import SAE_STAGE
from vsc_eval.studies.stage_select import SELECT
from vsc_eval.studies.stage_sweep import SWEEP
from vsc_eval.studies.stages import Stage, Study
from vsc_eval.sweeps.folder import attempt, now, open_run_folder

STAGES: tuple[Stage, ...] = (PROBING, SAE_STAGE, SELECT, SWEEP, CONTROLS, CONCLUDE, REPORT)
STUDY_SCHEMA_VERSION = 1


def run_study(
    spec: StudySpec,
    out: Path,
    *,
    until: str | None = None,
    only: str | None = None,
    console: Console | None = None,
    watch: Advance | None = None,
) -> StudyResults | None:
    """Run the study of `spec` in the folder `out`, or go on with it there: all stages, those up to `until`, or `only`
    one.

    A stage whose files are there, made from the same settings and the same files of earlier stages, is not run again.
    `watch` is told of (what, done, total) whenever something has got further. None if the study has not been concluded.

    Raises SpecError, DataError or BackendError, as the parts say, for whatever the user can fix.
    """
    console = console or Console(stderr=True)
    stages = _chosen(until, only)
    with open_run_folder(out, spec.identity(), kind="study") as base, progress_shown(console, {}) as shown:

        def advance(what: str, done: int, total: int) -> None:
            shown(what, done, total)
            if watch is not None:
                watch(what, done, total)

        study = Study(spec, StudyFolder(base), advance, lambda text: console.print(text, highlight=False, markup=False))
        base.document.setdefault("schema_version", STUDY_SCHEMA_VERSION)
        with attempt(base, _how(spec), worth_keeping=lambda entry: bool(entry["stages"])) as entry:
            finished = [stage.name for stage in stages if not _run_stage(stage, study, entry)]
        if finished:
            study.say(f"Finished before: {', '.join(finished)}")
        return read_results(out) if _is_finished(CONCLUDE, study) else None


def _chosen(until: str | None, only: str | None) -> tuple[Stage, ...]:
    by_name = {stage.name: stage for stage in STAGES}
    for name in filter(None, (until, only)):
        if name not in by_name:
            raise SpecError(f"A study has no stage '{name}'.", hint=known_names("stages", name, by_name))
    if only is not None:
        return (by_name[only],)
    return STAGES if until is None else STAGES[: list(by_name).index(until) + 1]


def _is_finished(stage: Stage, study: Study) -> bool:
    """Whether the stage and all that it builds on are finished. Raises DataError for a damaged file."""
    by_name = {stage.name: stage for stage in STAGES}
    return all(_is_finished(by_name[name], study) for name in stage.needs) and study.folder.is_finished(
        stage.name, stage.inputs(study)
    )


def _run_stage(stage: Stage, study: Study, entry: dict[str, Any]) -> bool:
    """Whether there was anything to run."""
    by_name = {stage.name: stage for stage in STAGES}
    for name in stage.needs:
        if not _is_finished(by_name[name], study):
            raise SpecError(
                f"The stage `{stage.name}` needs `{name}`, which is not finished.",
                hint=f"Run it first: --until {name}.",
            )
    inputs = stage.inputs(study)
    if study.folder.is_finished(stage.name, inputs):
        return False
    if study.folder.discard(stage.name):
        study.say(f"Stage {stage.name}: its files are gone or of other inputs; it is run again.")
    _drop_other_batches(stage, study)
    started = time.monotonic()
    record: dict[str, Any] = {"stage": stage.name, "started": now(), "seconds": None}
    entry["stages"].append(record)
    if "hashes" in study.folder.base.document:
        # Not before the model has been found, so that a wrong name leaves no folder that refuses the right one.
        study.folder.base.save()
    files = list(stage.run(study))
    if study.loaded is not None:
        entry.update(device=str(study.loaded.device), dtype=str(study.loaded.dtype))
    study.folder.finish(stage.name, inputs, files)
    record["seconds"] = round(time.monotonic() - started, 1)
    study.folder.base.save()
    return True


def _drop_other_batches(stage: Stage, study: Study) -> None:
    """Batches of another size have other last digits: what is bound to its batches starts over with the new size."""
    began: dict[str, int] = study.folder.base.document.setdefault("began_with_batch_size", {})
    size = study.spec.batch_size
    if stage.bound is not None and began.get(stage.name, size) != size:
        shutil.rmtree(study.path / stage.bound, ignore_errors=True)
        study.say(f"Stage {stage.name} began with a batch size of {began[stage.name]}; it starts over with {size}.")
    began[stage.name] = size


def _how(spec: StudySpec) -> dict[str, Any]:
    """How stages are computed, for local.yaml."""
    return {
        "batch_size": spec.batch_size,
        "device": spec.device,
        "dtype": spec.dtype,
        "engine_mode": spec.engine_mode,
        "stages": [],
    }
