"""A sweep: one model, some tasks, many conditions -> a folder of answers, lm-eval's files and result tables.

The first condition that lm-eval asks for fills the answer store for all conditions in one pass of the engine; the
others are then scored from the store. So a run that is killed goes on where it was, and what is stored is never
computed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from vsc_eval.analysis.official import official_rows
from vsc_eval.analysis.results import Results, interaction_rows, result_rows
from vsc_eval.analysis.run_tables import markdown, print_tables
from vsc_eval.answers.items import Asked, item_lines, write_items
from vsc_eval.answers.store import AnswerStore
from vsc_eval.answers.table import AnswerTable
from vsc_eval.backends.hf.engine import GenSettings
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.session import Session, open_session
from vsc_eval.backends.vllm.available import require_vllm
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.lmeval.condition import HarnessSettings, SweepLM, evaluate_condition, one_environment_report
from vsc_eval.lmeval.task_index import ExternalChoice
from vsc_eval.lmeval.tasks import DocKey, SweepTasks, find_tasks
from vsc_eval.progress import progress_shown
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.sweeps.folder import RunFolder, open_run_folder
from vsc_eval.sweeps.machine import cuda_words, machine_words, package_versions
from vsc_eval.sweeps.run_spec import RunSpec, intervention_name, needs_intervention, resolve_conditions, targets_of
from vsc_eval.synthetic import GENERATOR_VERSION

RUN_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """A run's inputs, read and checked."""

    spec: RunSpec
    tasks: SweepTasks
    intervention: LoadedIntervention | None
    conditions: tuple[ConditionSpec, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this run this run; `settings` of run.yaml."""
        conditions = [condition.model_dump(mode="json") for condition in self.conditions]
        return {**self.spec.identity(), "conditions": conditions}


def run_sweep(spec: RunSpec, out: Path, *, console: Console | None = None) -> Results:
    """Run `spec` in the folder `out`, or go on with it there; writes all files and returns the results.

    Raises SpecError, DataError or BackendError, as the parts say, for whatever the user can fix.
    """
    console = console or Console(stderr=True)
    plan = _plan(spec)
    with open_run_folder(out, plan.settings) as folder:
        console.print(f"Loading {spec.model} ...", highlight=False, markup=False)
        vlm = _load(spec)
        session = open_session(
            vlm,
            plan.conditions,
            intervention=plan.intervention,
            settings=GenSettings(scoring=spec.scoring),
            **spec.answering(),
        )
        # First run.yaml, then the answers: a folder with answers and no run.yaml would be refused as not ours.
        folder.agree("hashes", _hashes(plan, session))
        with AnswerStore(folder.store_path) as store, _attempt(folder, plan, session):
            session.store = store
            if len(store):
                console.print(f"{len(store)} answers are stored already.", highlight=False)
            table, how = _ask(plan, session, folder, console)
            folder.document["items"] = write_items(folder.path, item_lines(table, how))
            folder.save()
            results = _results(plan, vlm, table)
            folder.write_text("results.json", results.model_dump_json(indent=1) + "\n")
            folder.write_text("results.md", markdown(results))
    return results


def show(results: Results, out: Path, console: Console) -> None:
    """Print the tables and where the files are."""
    print_tables(results, console)
    written = f"Written to {out}: results.md, results.json, items.jsonl, run.yaml, lm_eval/, answers.sqlite"
    console.print(written, highlight=False, markup=False)


def _plan(spec: RunSpec) -> Plan:
    intervention = load_intervention(intervention_name(spec)) if needs_intervention(spec) else None
    conditions = resolve_conditions(spec, intervention.spec if intervention else None)
    external = ExternalChoice(include=spec.include_path, overrides=spec.override, data_dir=spec.data_dir)
    tasks = find_tasks(spec.tasks, spec.scoring, n=spec.n, limit=spec.limit, external=external)
    return Plan(spec=spec, tasks=tasks, intervention=intervention, conditions=conditions)


def _load(spec: RunSpec) -> LoadedVLM:
    return load_vlm(spec.model, weights=spec.backend == "hf", **spec.loading())


def _hashes(plan: Plan, session: Session) -> dict[str, Any]:
    """What the answers depend on beside the settings; a change of any of them makes it another run."""
    compiled = session.conditions
    return {
        "model_fingerprint": session.vlm.fingerprint,
        "model_revision": session.vlm.revision,
        "sae_fingerprint": plan.intervention.sae.fingerprint() if plan.intervention else None,
        "layer": plan.intervention.spec.layer if plan.intervention else None,
        "conditions": {name: BASELINE if c is None else c.content_hash for name, c in compiled.items()},
        "tasks": dict(plan.tasks.hashes),
        "generator_version": GENERATOR_VERSION,
    }


@contextmanager
def _attempt(folder: RunFolder, plan: Plan, session: Session) -> Iterator[None]:
    """Record in run.yaml when, where and with which versions the run was computed; one entry for each start."""
    entry: dict[str, Any] = {
        "started": _now(),
        "ended": None,
        "batch_size": session.engine.batch_size,
        **_how(plan.spec, session.vlm),
        "dtype": str(session.vlm.dtype),
        "machine": machine_words(),
        "versions": package_versions(),
    }
    folder.document["schema_version"] = RUN_SCHEMA_VERSION
    folder.document.setdefault("attempts", []).append(entry)
    folder.save()
    yield
    entry["ended"] = _now()
    folder.save()


def _how(spec: RunSpec, vlm: LoadedVLM) -> dict[str, Any]:
    """Where it is computed. vLLM takes the accelerator that it finds."""
    if spec.backend == "hf":
        return {"engine_mode": spec.engine_mode, "device": str(vlm.device)}
    return {"device": "cuda" if cuda_words() else "cpu", "vllm": str(require_vllm()), "vllm_arguments": spec.vllm}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _ask(plan: Plan, session: Session, folder: RunFolder, console: Console) -> tuple[AnswerTable, tuple[Asked, ...]]:
    """Let lm-eval ask and score every condition; the answers, and how each item was asked."""
    keys = list(plan.tasks.items)
    answers: dict[str, tuple[str, ...]] = {}
    read: dict[str, tuple[str, ...]] = {}
    readings: dict[str, dict[DocKey, Reading]] = {}
    how: dict[DocKey, Asked] = {}
    spec = plan.spec
    settings = HarnessSettings(spec.model, spec.scoring, spec.limit, spec.max_new_tokens, spec.seed)
    stages = {"answers": _still_to_compute(plan, session), "conditions scored by lm-eval": len(plan.conditions)}
    asking, scoring = stages
    with progress_shown(console, stages) as advance, one_environment_report():
        session.progress = partial(advance, asking)
        for n_scored, condition in enumerate(plan.conditions, start=1):
            model = SweepLM(session, condition.name)
            parsed = evaluate_condition(model, plan.tasks, settings, folder.harness_folder(condition.name))
            answers[condition.name] = tuple(parsed[key].counted for key in keys)
            read[condition.name] = tuple(parsed[key].read for key in keys)
            if not readings:
                readings, how = model.readings(), model.how_asked()
            advance(scoring, n_scored, len(plan.conditions))
    table = AnswerTable(
        items=tuple(plan.tasks.items.values()),
        answers=answers,
        readings={name: tuple(readings[name][key] for key in keys) for name in answers},
        read=read,
    )
    return table, tuple(how[key] for key in keys)


def _still_to_compute(plan: Plan, session: Session) -> int:
    """Answers that the store lacks, until the session knows it exactly; conditions of equal content are one."""
    different = {BASELINE if c is None else c.content_hash for c in session.conditions.values()}
    return max(0, len(plan.tasks.items) * len(different) - len(session.store))


def _results(plan: Plan, vlm: LoadedVLM, table: AnswerTable) -> Results:
    spec = plan.spec
    targets = targets_of(plan.conditions, plan.intervention.spec if plan.intervention else None)
    return Results(
        model=spec.model,
        model_fingerprint=vlm.fingerprint,
        intervention=intervention_name(spec) if plan.intervention else None,
        scoring=spec.scoring,
        seed=spec.seed,
        conditions=plan.conditions,
        targets=targets,
        rows=result_rows(table, spec.model, targets, spec.seed),
        interactions=interaction_rows(table, spec.model, plan.conditions, spec.seed),
        official=official_rows(table, spec.model, list(targets), spec.seed),
        data=tuple(plan.tasks.reports.values()),
    )
