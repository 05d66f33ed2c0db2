"""An entry from the folder of `vsc-eval run`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.analysis.results import Results
from vsc_eval.board.entry.assemble import assemble
from vsc_eval.board.entry.interventions import board_intervention
from vsc_eval.board.entry.parts import (
    attempt_words,
    changed_logprobs,
    date_of,
    item_table,
    last_part,
    model_name,
    packages_of,
    scoring_of,
    without_paths,
)
from vsc_eval.board.entry.rows import edit_words, official_figures, run_rows, run_unions
from vsc_eval.board.records import BoardCondition, BoardIntervention, BoardModel, Entry, Provenance, Role, Shown
from vsc_eval.errors import DataError, SpecError
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.synthetic import TASKS

RESULTS_FILE = "results.json"


def entry_from_run(
    run: FinishedRun,
    *,
    board: str,
    name: str | None = None,
    note: str = "",
    intervention: Path | None = None,
    shown: dict[str, Shown] | None = None,
) -> Entry:
    """The entry of a finished run, for the board of that name. `intervention` is where the run's intervention is, if
    it was moved.

    Raises SpecError or DataError, as the parts say, for a run that cannot be published.
    """
    results = read_results(run.path, Results)
    _check_same_run(run, results)
    names = [condition.name for condition in results.conditions]
    items = item_table(run.lines, names)
    edits = [condition for condition in results.conditions if not condition.is_baseline]
    board_intervention_, hashes = _intervention(run, results, edits, intervention)
    is_synthetic = any(task in TASKS for task in items.task)
    last = run.attempts[-1] if run.attempts else {}
    revision = run.hashes.get("model_revision")
    settings = {**run.settings, "model": model_name(results.model, revision, None)}
    if isinstance(settings.get("intervention"), str):
        settings["intervention"] = last_part(settings["intervention"])
    return assemble(
        board=board,
        model=BoardModel(
            name=model_name(results.model, revision, name),
            revision=revision,
            fingerprint=results.model_fingerprint,
            dtype=str(last.get("dtype", "unknown")).removeprefix("torch."),
        ),
        backend=run.settings.get("backend", "hf"),
        intervention=board_intervention_,
        scoring=scoring_of(run.lines),
        conditions=[_condition(spec, results, hashes) for spec in results.conditions],
        items=items,
        note=note,
        provenance=Provenance(
            source="run",
            date=date_of(run, "ended"),
            backend=run.settings.get("backend", "hf"),
            device=attempt_words(run, "device"),
            machine=attempt_words(run, "machine"),
            packages=packages_of(last.get("versions", {})),
            generator_version=run.hashes.get("generator_version") if is_synthetic else None,
            task_hashes=dict(run.hashes.get("tasks", {})),
            seed=results.seed,
            settings=without_paths(settings),
        ),
        rows=run_rows(results.rows),
        official=official_figures(results.official),
        unions=run_unions(results.interactions, results.conditions),
        logprobs=changed_logprobs(run.lines, names),
        shown=shown or {},
    )


R = TypeVar("R", bound=BaseModel)


def read_results(folder: Path, model: type[R]) -> R:
    """results.json of a run's or a study's folder. Raises SpecError if it is not there, DataError if it is damaged."""
    file = folder / RESULTS_FILE
    try:
        return model.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise SpecError(
            f"{folder} has no {RESULTS_FILE}: it did not come to its end.",
            hint="Give the command that made it again, with the same --out: stored answers are not computed again.",
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(
            f"{file} is damaged: at '{'.'.join(map(str, first['loc'])) or 'top level'}': {first['msg']}.",
            hint="Give the command that made it again, with the same --out.",
        ) from error


def _check_same_run(run: FinishedRun, results: Results) -> None:
    """A folder's files may come from two runs, if somebody copied them."""
    stored = run.hashes.get("model_fingerprint")
    if stored != results.model_fingerprint:
        raise DataError(
            f"{run.path / RESULTS_FILE} is of model {results.model_fingerprint}, run.yaml of {stored}.",
            hint="Give the command that made the run again, with the same --out.",
        )


def _intervention(
    run: FinishedRun, results: Results, edits: list[ConditionSpec], moved: Path | None
) -> tuple[BoardIntervention | None, dict[str, str]]:
    if not edits:
        return None, {}
    hashes = run.hashes.get("conditions", {})
    return board_intervention(
        moved or str(results.intervention),
        edits,
        layer=run.hashes.get("layer"),
        sae_fingerprint=run.hashes.get("sae_fingerprint"),
        hashes=hashes,
        name=last_part(str(results.intervention)),
    )


def _condition(spec: ConditionSpec, results: Results, hashes: dict[str, str]) -> BoardCondition:
    return BoardCondition(
        name=spec.name,
        role=role_of(spec),
        sets=spec.sets,
        edit=edit_words(spec),
        targets=results.targets.get(spec.name),
        content_hash=hashes.get(spec.name, BASELINE),
    )


def role_of(spec: ConditionSpec) -> Role:
    """What the condition is for: by its sets and norm matching."""
    if spec.edit is None:
        return "baseline"
    if len(spec.sets) == 1:
        return "single"
    return "norm_matched_union" if spec.edit.norm_match else "union"
