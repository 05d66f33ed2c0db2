"""The conditions of a study: what is done to which sets."""

from __future__ import annotations

from vsc_eval.analysis.controls import ControlKind
from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, InterventionSpec, parse_condition
from vsc_eval.studies import names
from vsc_eval.studies.spec import StudySpec
from vsc_eval.studies.swept import swept_conditions


def default_edit(spec: StudySpec) -> EditSpec:
    """What a condition that leaves it out does: the verdict's edit, at the positions that the SAE was trained on."""
    edit = parse_condition(f"set:{spec.verdict.edit}", EditSpec(kind="ablate", positions=spec.sae.positions)).edit
    assert edit is not None
    return edit


def sweep_conditions(spec: StudySpec, intervention: InterventionSpec) -> tuple[ConditionSpec, ...]:
    """Everything but the baseline: an edit of strength zero of each set, then what the statistics read."""
    wanted = [names.zero(task) for task in spec.tasks]
    wanted += [condition.name for condition in swept_conditions(spec) if condition.role != "baseline"]
    return tuple(parse_condition(name, intervention.default_edit) for name in dict.fromkeys(wanted))


def control_conditions(
    spec: StudySpec, intervention: InterventionSpec, kind: ControlKind, draw: int, direction_seed: int | None
) -> tuple[ConditionSpec, ...]:
    """One draw's stand-ins for every single set and for the unions of the control pairs, under the verdict's edit.

    `direction_seed` is of the draws of random directions, which edit the real sets' activations along them.
    """
    edit = spec.verdict.edit
    plan: list[tuple[str, tuple[str, ...]]] = [
        (names.control_single(task, kind, draw, edit), (task,)) for task in spec.tasks
    ]
    plan += [(names.control_union(a, b, kind, draw, edit), (a, b)) for a, b in spec.control_pairs]
    found = []
    for name, tasks in plan:
        if direction_seed is None:
            found.append(parse_condition(name, intervention.default_edit))
        else:
            done = parse_condition(f"set:{edit}", intervention.default_edit).edit
            assert done is not None
            turned = done.model_copy(update={"random_directions": direction_seed})
            found.append(ConditionSpec(name=name, sets=tasks, edit=turned))
    return tuple(found)


def asked_condition(spec: ConditionSpec, kind: ControlKind | None = None, draw: int | None = None) -> AskedCondition:
    """A condition of a study's table; `kind` and `draw` are a control's. A study selects one set for each task and
    names it after the task."""
    targets = tuple(map(names.task_of, spec.sets)) or None
    return AskedCondition(spec, spec.content_hash(), targets, kind, draw)


def by_name(*groups: tuple[FeatureSet, ...]) -> dict[str, FeatureSet]:
    """Feature sets by their names, which must differ."""
    sets = [feature_set for group in groups for feature_set in group]
    found = {feature_set.name: feature_set for feature_set in sets}
    assert len(found) == len(sets), "two feature sets of one name"
    return found
