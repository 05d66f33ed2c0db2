"""The conditions of a study and their names, which are the conditions' expressions."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.analysis.controls import ControlKind
from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, InterventionSpec, parse_condition
from vsc_eval.studies.spec import StudySpec, parse_edit

_SHORT: dict[ControlKind, str] = {
    "random_sets": "random",
    "random_directions": "direction",
    "permuted_labels": "permuted",
}


def condition_name(sets: Sequence[str], edit: str, norm_match: str | None = None) -> str:
    """`counting:scale=4`, `counting+logic:scale=4`; with `:norm=mean` at its end."""
    return f"{'+'.join(sets)}:{edit}" + (f":norm={norm_match}" if norm_match else "")


def null_name(task: str) -> str:
    """An edit of strength zero, `counting:scale=1`: it must change nothing."""
    return condition_name((task,), "scale=1")


def control_set(task: str, kind: ControlKind, draw: int) -> str:
    """`counting.random.03`: the set of that draw that stands for the real set of `task`."""
    return f"{task}.{_SHORT[kind]}.{draw:02d}"


def control_name(tasks: Sequence[str], kind: ControlKind, draw: int, edit: str) -> str:
    """`counting.random.03+logic.random.03:scale=4`: all sets are of one draw."""
    return condition_name([control_set(task, kind, draw) for task in tasks], edit)


def swept_names(spec: StudySpec) -> list[str]:
    """What the statistics read: the baseline; then for each edit the single sets, the unions and the norm-matched
    unions."""
    found, match = [BASELINE], spec.sweep.norm_match
    for edit in spec.sweep.edits:
        found += [condition_name((task,), edit) for task in spec.tasks]
        found += [condition_name(pair, edit) for pair in spec.pairs]
        found += [condition_name(pair, edit, match) for pair in spec.pairs if match]
    return found


def default_edit(spec: StudySpec) -> EditSpec:
    """What a condition that leaves it out does: the verdict's edit, at the positions that the SAE was trained on."""
    return parse_edit(spec.verdict.edit, EditSpec(kind="ablate", positions=spec.sae.positions))


def sweep_conditions(spec: StudySpec, intervention: InterventionSpec) -> list[ConditionSpec]:
    """Everything but the baseline: an edit of strength zero of each set, then what the statistics read."""
    wanted = dict.fromkeys([*map(null_name, spec.tasks), *swept_names(spec)[1:]])
    return [parse_condition(name, intervention.default_edit) for name in wanted]


def asked_condition(spec: ConditionSpec, kind: ControlKind | None = None, draw: int | None = None) -> AskedCondition:
    """A condition of a study's table; `kind` and `draw` are a control's. A study selects one set for each task and
    names it after the task, a control's after the task and a dot."""
    targets = tuple(name.split(".", 1)[0] for name in spec.sets) or None
    return AskedCondition(spec, spec.content_hash(), targets, kind, draw)
