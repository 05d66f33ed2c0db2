"""Controls: the same edit of sets and directions that mean nothing, on the first items of each cell."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vsc_eval.files import replacing
from vsc_eval.interventions.edits import compile_condition
from vsc_eval.specs import save_yaml_spec
from vsc_eval.studies.asking import ask
from vsc_eval.studies.conditions import by_name, control_conditions
from vsc_eval.studies.control_sets import CONTROLS_FILE, draw_controls
from vsc_eval.studies.stage_select import read_harvest
from vsc_eval.studies.stage_sweep import control_items
from vsc_eval.studies.stages import Stage, Study

STEM = "controls"


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
    conditions = [
        condition
        for draw in drawn.draws
        for condition in control_conditions(spec, intervention.spec, draw.kind, draw.draw, draw.direction_seed)
    ]
    sets = by_name(intervention.spec.sets, *(draw.sets for draw in drawn.draws))
    compile_ = partial(compile_condition, known_sets=sets, sae=intervention.sae, layer=intervention.spec.layer)
    items = control_items(spec)
    with study.respondent(intervention) as respondent:
        answered = ask(respondent, items, conditions, compile_, study.counts("controls", "answers"))
    study.say(f"Controls: {len(conditions)} conditions on {len(items)} items")
    return [file, *answered.save(study.path, STEM)]


CONTROLS = Stage(
    "controls",
    "random sets, random directions and permuted labels, under the verdict's edit",
    # Not before the sweep, whose baseline it takes from the store: in other batches that would differ in its last bits.
    ("select", "sweep"),
    ("sae", "select", "controls", "verdict", "backend", "vllm"),
    _run,
)
