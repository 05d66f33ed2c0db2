"""An entry from the folder of `vsc-eval study`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.board.entry.assemble import assemble
from vsc_eval.board.entry.from_run import RESULTS_FILE, read_results
from vsc_eval.board.entry.interventions import board_intervention
from vsc_eval.board.entry.parts import (
    attempt_words,
    changed_logprobs,
    date_of,
    item_table,
    model_name,
    packages_of,
    scoring_of,
    without_paths,
)
from vsc_eval.board.entry.rows import interval, study_rows
from vsc_eval.board.records import (
    BoardCondition,
    BoardModel,
    ControlFigure,
    Entry,
    FloorFigure,
    ProbePoint,
    Probes,
    Provenance,
    UnionFigure,
)
from vsc_eval.errors import DataError
from vsc_eval.specs import BASELINE, EditSpec, InterventionSpec, load_yaml_spec, parse_condition

if TYPE_CHECKING:
    from vsc_eval.probing.result import ProbingResult
    from vsc_eval.studies.records import PairRow, StudyResults
    from vsc_eval.studies.swept import SweptCondition

_INTERVENTION = "intervention"


def entry_from_study(run: FinishedRun, *, board: str, name: str | None = None, note: str = "") -> Entry:
    """The entry of a finished study, for the board of that name.

    Edits of strength zero are no conditions of it: they are there for the noise floor, whose figures it has. Printed
    tables show the conditions of the verdict's edit. Raises SpecError or DataError, as the parts say.
    """
    # Loads torch, for the records of the SAE's quality.
    from vsc_eval.studies.records import StudyResults
    from vsc_eval.studies.swept import swept_conditions

    results = read_results(run.path, StudyResults)
    _check_same_study(run, results)
    spec = results.spec
    swept = swept_conditions(spec)
    names = [condition.name for condition in swept]
    parsed = {c.name: parse_condition(c.name, _default_edit(run)) for c in swept if c.sets}
    intervention, hashes = board_intervention(
        run.path / _INTERVENTION,
        list(parsed.values()),
        layer=results.layer,
        sae_fingerprint=results.sae_fingerprint,
        hashes=None,
    )
    revision = run.hashes.get("model_revision")
    shown_name = model_name(spec.model, revision, name)
    settings = {**results.settings(), "model": model_name(spec.model, revision, None)}
    return assemble(
        board=board,
        model=BoardModel(
            name=shown_name,
            revision=revision,
            fingerprint=results.model_fingerprint,
            dtype=str(run.attempts[-1].get("dtype", "unknown") if run.attempts else "unknown").removeprefix("torch."),
        ),
        backend=spec.backend,
        intervention=intervention.model_copy(update={"name": f"{shown_name} study"}),
        scoring=scoring_of(run.lines),
        conditions=[_condition(c, hashes, spec.verdict.edit) for c in swept],
        items=item_table(run.lines, names),
        note=note,
        provenance=Provenance(
            source="study",
            date=date_of(run, "started"),
            backend=spec.backend,
            device=attempt_words(run, "device"),
            machine=attempt_words(run, "machine"),
            packages=packages_of(results.versions),
            generator_version=results.generator_version,
            task_hashes={},
            seed=spec.seed,
            settings=without_paths(settings),
        ),
        rows=study_rows(results.rows),
        unions=tuple(_union(pair, swept) for pair in results.pairs),
        controls=_controls(results),
        floor=_floor(results),
        probes=_probes(results.probing),
        logprobs=changed_logprobs(run.lines, names),
    )


def _check_same_study(run: FinishedRun, results: StudyResults) -> None:
    stored = run.hashes.get("model_fingerprint")
    if stored != results.model_fingerprint or len(run.lines) != results.n_items:
        raise DataError(
            f"{run.path / RESULTS_FILE} is not of the study in study.yaml: it is of model "
            f"{results.model_fingerprint} and {results.n_items} items, that of {stored} and {len(run.lines)}.",
            hint="Give the command that made the study again, with the same --out.",
        )


def _default_edit(run: FinishedRun) -> EditSpec:
    return load_yaml_spec(run.path / _INTERVENTION / "intervention.yaml", InterventionSpec).default_edit


def _condition(condition: SweptCondition, hashes: dict[str, str], verdict_edit: str) -> BoardCondition:
    return BoardCondition(
        name=condition.name,
        role=condition.role,
        sets=condition.sets,
        edit=condition.edit,
        # A study selects one set for each task and names it after the task.
        targets=condition.sets or None,
        content_hash=hashes.get(condition.name, BASELINE),
        is_headline=condition.edit in (None, verdict_edit),
    )


def _union(pair: PairRow, swept: tuple[SweptCondition, ...]) -> UnionFigure:
    singles = {(c.sets, c.edit): c.name for c in swept if c.role == "single"}
    a, b = (singles[(name,), pair.edit] for name in pair.parts)
    return UnionFigure(
        union=pair.union,
        parts=(a, b),
        edit=pair.edit,
        form=pair.form,
        drift_interaction=interval(pair.drift_interaction),
        drift_bliss=interval(pair.drift_bliss) if pair.drift_bliss else None,
        accuracy_interaction=interval(pair.accuracy_interaction),
        p_drift_adjusted=pair.p_drift_adjusted,
        p_accuracy_adjusted=pair.p_accuracy_adjusted,
        verdict=pair.verdict,
        decided_by=pair.decided_by,
    )


def _controls(results: StudyResults) -> tuple[ControlFigure, ...]:
    return tuple(
        ControlFigure(
            kind=test.kind,
            outcome=test.outcome,
            effect=test.effect,
            sets=test.sets,
            value=test.value,
            draws=test.draws,
            percentile=test.percentile,
            p=test.p,
        )
        for test in results.controls
    )


def _floor(results: StudyResults) -> tuple[FloorFigure, ...]:
    return tuple(
        FloorFigure(
            name=row.name,
            drift=interval(row.drift),
            n_changed=row.n_changed,
            max_logprob_difference=row.max_logprob_difference,
        )
        for row in results.floor
    )


def _probes(found: ProbingResult) -> Probes:
    """The probes that have a figure; those that were not asked for have none."""
    return Probes(
        chosen_layer=found.layer,
        chosen_by=found.chosen_by,
        chance={str(target): chance for target, chance in found.chance.items()},
        interval=found.interval,
        points=tuple(
            ProbePoint(
                target=row.target,
                pooling=row.pooling,
                layer=row.layer,
                control=row.control,
                accuracy=row.test_accuracy,
                low=row.low,
                high=row.high,
            )
            for row in found.rows
            if row.test_accuracy is not None and row.low is not None and row.high is not None
        ),
    )
