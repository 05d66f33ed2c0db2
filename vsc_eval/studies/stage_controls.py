"""Controls: the same edit of sets and directions that mean nothing, on the first items of each cell."""

from __future__ import annotations

from pathlib import Path

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.parquet import table_files, write_table
from vsc_eval.files import replacing
from vsc_eval.specs import save_yaml_spec
from vsc_eval.studies.asking import ask_items, asked_conditions, asked_items
from vsc_eval.studies.conditions import by_name, control_conditions
from vsc_eval.studies.control_sets import CONTROLS_FILE, draw_controls
from vsc_eval.studies.stage_select import read_harvest
from vsc_eval.studies.stage_sweep import SPLIT, control_items
from vsc_eval.studies.stages import Stage, Study

CONTROLS_STEM = "controls"
"""Of the files of their table."""


def _run(study: Study) -> list[Path]:
    spec, intervention = study.spec, study.intervention()
    drawn = draw_controls(spec, intervention.spec, read_harvest(study), study.counts("controls", "draws"))
    for failed in drawn.failed:
        short = spec.controls.draws - drawn.n_made(failed.kind)
        outcome = f"{short} draws are missing." if short else "Others took their place."
        draws = ", ".join(map(str, failed.draws))
        study.say(f"Controls: no {failed.kind} in draws {draws}: {failed.why} {outcome}")
    file = study.path / CONTROLS_FILE
    with replacing(file) as unfinished:
        save_yaml_spec(unfinished, drawn)
    drawn_conditions = {
        condition.name: (draw, condition)
        for draw in drawn.draws
        for condition in control_conditions(spec, intervention.spec, draw.kind, draw.draw, draw.direction_seed)
    }
    conditions = [condition for _, condition in drawn_conditions.values()]
    sets = by_name(intervention.spec.sets, *(draw.sets for draw in drawn.draws))
    items = control_items(spec)
    with study.session(intervention, conditions, sets) as session:
        answers = ask_items(session, items, study.counts("controls", "answers"))
        targets = {c.name: tuple(name.split(".")[0] for name in c.sets) for c in conditions}
        numbers = {name: (made.kind, made.draw) for name, (made, _) in drawn_conditions.items()}
        described = asked_conditions(session, targets, numbers)
    table = AnswerTable(asked_items(items, SPLIT), described, answers)
    write_table(study.path, table, CONTROLS_STEM)
    study.say(f"Controls: {len(conditions)} conditions on {len(items)} items")
    return [file, *(study.path / name for name in table_files(CONTROLS_STEM))]


CONTROLS = Stage(
    "controls",
    "random sets, random directions and permuted labels, under the verdict's edit",
    # Not before the sweep, whose baseline it takes from the store: in other batches that would differ in its last bits.
    ("select", "sweep"),
    ("sae", "select", "controls", "verdict", "backend", "vllm"),
    _run,
)
