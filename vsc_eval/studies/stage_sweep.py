"""Sweep: ask the test items under every single set and union; measure how far answers move where nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from vsc_eval.answers.items import ITEMS_FILE, ItemLine, asked, write_items
from vsc_eval.features.benchmark import benchmark_items
from vsc_eval.interventions.edits import compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import BASELINE
from vsc_eval.studies import names
from vsc_eval.studies.answered import AnsweredItems
from vsc_eval.studies.asking import CHOICE, Compile, ask
from vsc_eval.studies.conditions import sweep_conditions
from vsc_eval.studies.floor import FLOOR_FILE, OTHER_BATCHES, Floor, Unchanged, unchanged
from vsc_eval.studies.floor import STEM as FLOOR_STEM
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.stages import Stage, Study
from vsc_eval.synthetic import LETTERS, Item

SPLIT = "test"
STEM = "sweep"
_FLOOR_STORE = "floor.sqlite"


def control_items(spec: StudySpec) -> list[Item]:
    """The items of the controls, which are the first of each cell of the sweep's."""
    return benchmark_items(SPLIT, spec.tasks, spec.controls.items_per_cell)


def compiler(intervention: LoadedIntervention) -> Compile:
    """Binds conditions to the intervention's sets and SAE."""
    return partial(compile_condition, known_sets=intervention.sets, sae=intervention.sae, layer=intervention.spec.layer)


def _run(study: Study) -> list[Path]:
    intervention = study.intervention()
    items = benchmark_items(SPLIT, study.spec.tasks, study.spec.sweep.items_per_cell)
    with study.respondent(intervention) as respondent:
        conditions = sweep_conditions(study.spec, intervention.spec)
        swept = ask(
            respondent,
            items,
            conditions,
            compiler(intervention),
            study.counts("sweep", "answers"),
            # The control draws are then compared with the baseline, and with the real sets, in the very same batches.
            apart={item.id for item in control_items(study.spec)},
        )
    again = _again(study, intervention, items)
    floor = Floor(rows=tuple(_floor(study, swept, again)))
    study.folder.write_text(FLOOR_FILE, floor.model_dump_json(indent=1) + "\n")
    study.folder.base.document["items"] = write_items(study.path, _lines(swept))
    files = [*swept.save(study.path, STEM), *again.save(study.path, FLOOR_STEM)]
    largest = max(row.max_logprob_difference for row in floor.rows)
    study.say(f"Sweep: {len(conditions)} conditions on {len(items)} items; floor {largest:.1e} nats at most")
    return [*files, study.path / FLOOR_FILE, study.path / ITEMS_FILE]


def _again(study: Study, intervention: LoadedIntervention, items: list[Item]) -> AnsweredItems:
    """The baseline once more in other batches: of another size, mixed anew, from a store of its own."""
    size = study.spec.batch_size
    rng = np.random.default_rng(derived_seed("study floor", study.spec.seed))
    order = rng.permutation(len(items)).tolist()
    with study.respondent(None, batch_size=size // 2 or 2, store=_FLOOR_STORE) as respondent:
        return ask(respondent, items, (), compiler(intervention), study.counts("sweep", "floor"), order=order)


def _floor(study: Study, swept: AnsweredItems, again: AnsweredItems) -> Iterator[Unchanged]:
    baseline = swept.logprobs[swept.row(BASELINE)]
    yield unchanged(OTHER_BATCHES, baseline, again.logprobs[again.row(BASELINE)])
    for name in map(names.zero, study.spec.tasks):
        yield unchanged(name, baseline, swept.logprobs[swept.row(name)])


def _lines(swept: AnsweredItems) -> Iterator[ItemLine]:
    codes = swept.codes
    for column, item in enumerate(swept.items):
        logprobs = swept.logprobs[:, column]
        yield ItemLine(
            id=item.id,
            task=item.task,
            level=item.level,
            cluster=item.cluster,
            gold=item.gold,
            asked=asked(item.prompt, item.image_hash, LETTERS, CHOICE.scoring, CHOICE.new_tokens),
            answers={name: LETTERS[codes[row, column]] for row, name in enumerate(swept.conditions)},
            option_logprobs={
                name: tuple(None if np.isneginf(value) else value for value in logprobs[row].tolist())
                for row, name in enumerate(swept.conditions)
            },
        )


SWEEP = Stage(
    "sweep",
    "every single set and union, under every edit",
    ("select",),
    ("sae", "sweep", "controls", "verdict", "backend", "vllm"),
    _run,
)
