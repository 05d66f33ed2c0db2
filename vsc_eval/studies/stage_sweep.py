"""Sweep: ask the test items under every single set and union; measure how far answers move where nothing is done."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vsc_eval.analysis.noise_floor import largest_differences
from vsc_eval.answers.answer_table import Answers, AnswerTable
from vsc_eval.answers.parquet import table_files, write_table
from vsc_eval.features.benchmark import benchmark_items
from vsc_eval.interventions.intervention import LoadedIntervention
from vsc_eval.seeding import derived_seed
from vsc_eval.studies.asking import ask_items, asked_conditions, asked_items
from vsc_eval.studies.conditions import sweep_conditions
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stages import Stage, Study
from vsc_eval.synthetic import Item

SPLIT = "test"
_FLOOR_STORE = "floor.sqlite"


def control_items(spec: StudySpec) -> list[Item]:
    """The items of the controls, which are the first of each cell of the sweep's."""
    return benchmark_items(SPLIT, spec.tasks, spec.controls.items_per_cell)


def _run(study: Study) -> list[Path]:
    spec, intervention = study.spec, study.intervention()
    items = benchmark_items(SPLIT, spec.tasks, spec.sweep.items_per_cell)
    conditions = sweep_conditions(spec, intervention.spec)
    with study.session(intervention, conditions) as session:
        main = ask_items(
            session,
            items,
            study.counts("sweep", "answers"),
            # The control draws are then compared with the baseline, and with the real sets, in the very same batches.
            apart={item.id for item in control_items(spec)},
        )
        targets = {condition.name: condition.sets for condition in conditions}
        described = asked_conditions(session, targets)
    again = _again(study, intervention, items)
    table = AnswerTable(asked_items(items, SPLIT), described, main, {"other_batches": again})
    study.folder.base.document["files"] = write_table(study.path, table)
    largest = max(largest_differences(table).values())
    study.say(f"Sweep: {len(conditions)} conditions on {len(items)} items; noise floor {largest:.1e} nats at most")
    return [study.path / name for name in table_files()]


def _again(study: Study, intervention: LoadedIntervention, items: list[Item]) -> Answers:
    """The baseline once more in other batches: of another size, mixed anew, from a store of its own."""
    size = study.spec.batch_size
    rng = np.random.default_rng(derived_seed("study floor", study.spec.seed))
    order = rng.permutation(len(items)).tolist()
    with study.session(intervention, batch_size=size // 2 or 2, store=_FLOOR_STORE) as session:
        return ask_items(session, items, study.counts("sweep", "floor"), order=order)


SWEEP = Stage(
    "sweep",
    "every single set and union, under every edit",
    ("select",),
    ("sae", "sweep", "controls", "verdict", "backend", "vllm"),
    _run,
)
