"""`vsc-eval study`: the stages one after the other, each finished one left alone."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from vsc_eval.errors import SpecError, known_names
from vsc_eval.progress import Advance, progress_shown
from vsc_eval.studies.records import StudyResults, read_results
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stage import Stage
from vsc_eval.studies.stages import CONCLUDE, STAGES
from vsc_eval.studies.study import Study
from vsc_eval.sweeps.folder import attempt, open_run_folder

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
    how = spec.model_dump(include={"batch_size", "device", "dtype", "engine_mode"})
    with open_run_folder(out, spec.identity(), kind="study") as folder, progress_shown(console, {}) as shown:

        def advance(what: str, done: int, total: int) -> None:
            shown(what, done, total)
            if watch is not None:
                watch(what, done, total)

        study = Study(spec, folder, advance, lambda text: console.print(text, highlight=False, markup=False))
        folder.document.setdefault("schema_version", STUDY_SCHEMA_VERSION)
        with attempt(folder, {**how, "stages": []}, worth_keeping=lambda entry: bool(entry["stages"])) as entry:
            finished = [stage.name for stage in stages if not stage.run(study, entry)]
        if finished:
            study.say(f"Finished before: {', '.join(finished)}")
        return read_results(out) if CONCLUDE.is_finished(study) else None


def _chosen(until: str | None, only: str | None) -> tuple[Stage, ...]:
    by_name = {stage.name: stage for stage in STAGES}
    for name in filter(None, (until, only)):
        if name not in by_name:
            raise SpecError(f"A study has no stage '{name}'.", hint=known_names("stages", name, by_name))
    if only is not None:
        return (by_name[only],)
    return STAGES if until is None else STAGES[: list(by_name).index(until) + 1]
