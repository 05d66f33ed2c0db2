"""A sweep: one model (or several, each in a folder of its own), some tasks, many conditions -> the table of answers,
lm-eval's files and result tables.

lm-eval makes the requests. Those of the baseline are asked under all conditions at once, into the answer store; then
lm-eval scores every condition from what is stored. So a run that is killed goes on where it was, and what is stored is
never computed again.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from vsc_eval.analysis.interactions import interactions
from vsc_eval.analysis.official import official_rows
from vsc_eval.analysis.results import Results, condition_table, markdown, print_tables
from vsc_eval.analysis.rows import rows
from vsc_eval.answers.answer_table import AnswerCollector, AnswerTable, AskedCondition
from vsc_eval.answers.parquet import write_table
from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import Session, as_asked, ask, open_session
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.registry import BACKENDS
from vsc_eval.errors import BackendError, VscError
from vsc_eval.files import write_text
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.lmeval.scoring import Answer, likeliest, read_text
from vsc_eval.lmeval.session_lm import DocKey, Question, SessionLM, cut
from vsc_eval.lmeval.tasks import SweepTasks, find_tasks, score_condition
from vsc_eval.progress import progress_shown
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.sweeps.folder import RunFolder, attempt, cuda_words, folder_name, open_run_folder, package_versions
from vsc_eval.sweeps.run_spec import RunSpec, resolve_conditions, targets_of
from vsc_eval.synthetic import GENERATOR_VERSION
from vsc_eval.tables.table import Column, Table, TableRow, cell, table

RUN_SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Plan:
    """A run's inputs, read and checked."""

    spec: RunSpec
    tasks: SweepTasks
    intervention: LoadedIntervention | None
    conditions: tuple[ConditionSpec, ...]


@dataclass(frozen=True)
class Finished:
    """What a sweep leaves in memory."""

    results: Results
    table: AnswerTable


def run_sweep(
    spec: RunSpec,
    out: Path | None,
    *,
    console: Console | None = None,
    vlm: LoadedVLM | None = None,
    intervention: LoadedIntervention | None = None,
) -> Finished:
    """Run `spec` in the folder `out`, or go on with it there, and write all files; with no folder keep all in memory.
    `vlm` and `intervention` are those of the spec where they are loaded already. Raises SpecError, DataError or
    BackendError, as the parts say, for whatever the user can fix."""
    console = console or Console(stderr=True)
    plan = plan_run(spec, intervention)
    if out is None:
        session = _open(plan, console, vlm)
        table = _ask(plan, session, None, console)
        return Finished(_results(plan, session.vlm, table), table)
    conditions = [condition.model_dump(mode="json") for condition in plan.conditions]
    with open_run_folder(out, {**spec.identity(), "conditions": conditions}) as folder:
        session = _open(plan, console, vlm)
        # First run.yaml, then the answers: a folder with answers and no run.yaml would be refused as not ours.
        folder.agree("hashes", _hashes(plan, session))
        with AnswerStore(folder.path / "answers.sqlite") as store, attempt(folder, _how(spec, session)):
            session.store = store
            if len(store):
                console.print(f"{len(store)} answers are stored already.", highlight=False)
            table = _ask(plan, session, folder, console)
            results = _results(plan, session.vlm, table)
            _write(folder, table, results)
    return Finished(results, table)


def show(results: Results, out: Path, console: Console) -> None:
    """Print the tables and where the files are."""
    print_tables(results, console)
    written = f"Written to {out}: results.md, results.json, answers.parquet, items.parquet, run.yaml, lm_eval/"
    console.print(written, highlight=False, markup=False)


def plan_run(spec: RunSpec, intervention: LoadedIntervention | None = None) -> Plan:
    """Find and check what a run needs, before the model is loaded. `intervention` is the spec's, if it is loaded."""
    edits = spec.sweep_file is not None or any(name.strip() != BASELINE for name in spec.conditions)
    if intervention is None and (edits or spec.intervention is not None):
        intervention = load_intervention(spec.intervention_name)
    conditions = resolve_conditions(spec, intervention.spec if intervention else None)
    tasks = find_tasks(spec)
    return Plan(spec=spec, tasks=tasks, intervention=intervention, conditions=conditions)


def _open(plan: Plan, console: Console, vlm: LoadedVLM | None) -> Session:
    spec = plan.spec
    if vlm is None:
        console.print(f"Loading {spec.model} ...", highlight=False, markup=False)
        vlm = load_vlm(spec.model, weights=BACKENDS.get(spec.backend).needs_weights, **spec.loading())
    return open_session(vlm, plan.conditions, intervention=plan.intervention, **spec.answering())


def _hashes(plan: Plan, session: Session) -> dict[str, Any]:
    """What the answers depend on beside the settings; a change of any of them makes it another run."""
    return {
        "model_fingerprint": session.vlm.fingerprint,
        "model_revision": session.vlm.revision,
        "sae_fingerprint": plan.intervention.sae.fingerprint() if plan.intervention else None,
        "layer": plan.intervention.spec.layer if plan.intervention else None,
        "conditions": _content_hashes(session),
        "tasks": dict(plan.tasks.hashes),
        "generator_version": GENERATOR_VERSION,
    }


def _content_hashes(session: Session) -> dict[str, str]:
    return {name: edit.content_hash if edit is not None else BASELINE for name, edit in session.conditions.items()}


def _how(spec: RunSpec, session: Session) -> dict[str, Any]:
    """Where and how it is computed. A backend without transformers' weights takes the accelerator that it finds."""
    backend = BACKENDS.get(spec.backend)
    entry: dict[str, Any] = {"batch_size": session.engine.batch_size, "dtype": str(session.vlm.dtype)}
    entry |= backend.attempt(spec.backend_options)
    if backend.needs_weights:
        return {**entry, "engine_mode": spec.engine_mode, "device": str(session.vlm.device)}
    return {**entry, "device": "cuda" if cuda_words() else "cpu"}


def _ask(plan: Plan, session: Session, folder: RunFolder | None, console: Console) -> AnswerTable:
    """Ask everything, let lm-eval score every condition from what is stored, and hold its answers equal to ours."""
    spec = plan.spec
    # Answers that the store lacks, until it is known exactly; conditions of equal content are one.
    lacking = max(0, len(plan.tasks.items) * len(set(_content_hashes(session).values())) - len(session.store))
    asking, scoring = "answers", "conditions scored by lm-eval"
    table: AnswerTable | None = None
    with progress_shown(console, {asking: lacking, scoring: len(plan.conditions)}) as advance:
        session.progress = partial(advance, asking)
        for n_scored, condition in enumerate(plan.conditions, start=1):
            model = SessionLM(session, condition.name, in_sweep=True)
            target = folder.harness_folder(condition.name) if folder else None
            scored = score_condition(model, plan.tasks, target, name=spec.model, seed=spec.seed)
            if table is None:
                table = _table(plan, session, model.questions)
            _check_answers(table, plan.tasks, condition.name, scored)
            advance(scoring, n_scored, len(plan.conditions))
    assert table is not None
    return table


def _table(plan: Plan, session: Session, questions: Mapping[DocKey, Question]) -> AnswerTable:
    """The table of all answers; every one of them is stored by now."""
    keys = list(plan.tasks.items)
    names = [condition.name for condition in plan.conditions]
    n_options = max((len(question.prompt.options) for question in questions.values()), default=0)

    def interpret(place: int, reading: Reading) -> Answer:
        """How the answer of an item is read, as lm-eval reads it."""
        key = keys[place]
        document = plan.tasks.documents.get(key, {})
        if plan.spec.scoring == "loglikelihood":
            assert reading.option_logprobs is not None
            return likeliest(document, plan.tasks.letters[key], reading.option_logprobs)
        assert reading.text is not None
        return read_text(document, cut(reading.text, questions[key].stops))

    collector = AnswerCollector(names, len(keys), n_options, interpret)
    for settings in dict.fromkeys(questions[key].settings for key in keys):
        places = [place for place, key in enumerate(keys) if questions[key].settings == settings]
        prompts = [questions[keys[place]].prompt for place in places]

        def collect(rows: Any, answers: Any, places: list[int] = places) -> None:
            collector.add([places[row] for row in rows], answers)

        ask(session, prompts, names, settings=settings, collect=collect)
    targets = targets_of(plan.conditions, plan.intervention.spec if plan.intervention else None)
    hashes = _content_hashes(session)
    conditions = tuple(AskedCondition(c, content_hash=hashes[c.name], targets=targets[c.name]) for c in plan.conditions)
    asked = ((plan.tasks.items[key], questions[key]) for key in keys)
    items = tuple(as_asked(item, question.prompt, question.settings, question.stops) for item, question in asked)
    return AnswerTable(items=items, conditions=conditions, main=collector.result())


def _check_answers(table: AnswerTable, tasks: SweepTasks, name: str, scored: Mapping[DocKey, Answer]) -> None:
    """What lm-eval read must be what the table holds."""
    words, row = table.main.vocabulary, table.main.rows[name]
    for place, (key, item) in enumerate(tasks.items.items()):
        ours = Answer(words[table.main.read[row, place]], words[table.main.answer[row, place]])
        if ours != scored[key]:
            raise BackendError(
                f"Item '{item.item_id}' under '{name}': lm-eval read '{scored[key].read}', we '{ours.read}'.",
                hint="Report it with the run's folder: one of the two reads answers wrongly. Until then use neither.",
            )


def _write(folder: RunFolder, table: AnswerTable, results: Results) -> None:
    """All files of a finished run; run.yaml, which has their hashes, comes last."""
    files = write_table(folder.path, table)
    write_text(folder.path / "results.json", results.model_dump_json(indent=1) + "\n")
    write_text(folder.path / "results.md", markdown(results))
    folder.document |= {"schema_version": RUN_SCHEMA_VERSION, "versions": package_versions(), "files": files}
    folder.save()


def _results(plan: Plan, vlm: LoadedVLM, table: AnswerTable) -> Results:
    spec, statistics = plan.spec, plan.spec.statistics
    return Results(
        model=spec.model,
        model_fingerprint=vlm.fingerprint,
        intervention=spec.intervention_name if plan.intervention else None,
        scoring=spec.scoring,
        seed=spec.seed,
        conditions=plan.conditions,
        targets={condition.name: condition.targets for condition in table.conditions},
        rows=rows(table, statistics),
        interactions=interactions(table, statistics),
        official=official_rows(table, statistics),
        data=tuple(plan.tasks.reports.values()),
    )


def model_folders(models: Sequence[str], out: Path) -> dict[str, Path]:
    """Model -> its folder below `out`: the last part of its name, or the whole name where two end alike."""
    last = [folder_name(Path(model).name) for model in models]
    return {
        model: out / (name if last.count(name) == 1 else folder_name(model))
        for model, name in zip(models, last, strict=True)
    }


def run_models(
    spec: RunSpec, models: Sequence[str], out: Path, *, done: Callable[[Results, Path], None]
) -> tuple[dict[str, Results], dict[str, VscError]]:
    """Run `spec` with each of `models`; the results, and what made the others fail. `done` is called after each. A
    model that fails does not keep the others from running. Nothing is raised for what the user can fix."""
    results: dict[str, Results] = {}
    failed: dict[str, VscError] = {}
    for model, folder in model_folders(models, out).items():
        try:
            results[model] = run_sweep(spec.model_copy(update={"model": model}), folder).results
            done(results[model], folder)
        except VscError as error:
            failed[model] = error
        # The weights of one model must make room for those of the next.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return results, failed


def summary(results: dict[str, Results]) -> Table:
    """The conditions of all models in one table."""
    tables = {model: condition_table(found) for model, found in results.items()}
    return table(
        "models",
        f"{len(tables)} models",
        (Column("model", "model"), *next(iter(tables.values())).columns),
        [TableRow((cell(model), *row.cells)) for model, of_model in tables.items() for row in of_model.rows],
        dict.fromkeys(note for of_model in tables.values() for note in of_model.notes),
    )
