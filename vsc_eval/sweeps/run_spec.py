"""What `vsc-eval run` was asked to do."""

from pathlib import Path
from typing import ClassVar

from vsc_eval.errors import SpecError
from vsc_eval.settings import AskSpec, EngineSpec, StatisticsSpec
from vsc_eval.specs import (
    BASELINE,
    ConditionSpec,
    EditSpec,
    InterventionSpec,
    SweepSpec,
    load_yaml_spec,
    parse_conditions,
)


class RunSpec(AskSpec, EngineSpec, StatisticsSpec):
    """One model, some tasks, many conditions. `seed` is also that of lm-eval."""

    hf_only: ClassVar[tuple[str, ...]] = (*EngineSpec.hf_only, "device", "attn_implementation")

    @property
    def statistics(self) -> StatisticsSpec:
        """The part that says how intervals and tests are computed."""
        return StatisticsSpec(**self.part(StatisticsSpec))

    @property
    def intervention_name(self) -> str:
        """The intervention that was named, or the one named like the model."""
        return self.intervention or Path(self.model).name


def resolve_conditions(spec: RunSpec, intervention: InterventionSpec | None) -> tuple[ConditionSpec, ...]:
    """All conditions in order, the baseline first. Raises SpecError for an unknown set, a repeated name or no
    intervention."""
    default_edit = intervention.default_edit if intervention else EditSpec(kind="ablate")
    found = [ConditionSpec(name=BASELINE), *parse_conditions(spec.conditions, default_edit)]
    for condition in load_yaml_spec(spec.sweep_file, SweepSpec).conditions if spec.sweep_file is not None else ():
        found += parse_conditions([condition], default_edit) if isinstance(condition, str) else [condition]
    sets = [feature_set.name for feature_set in intervention.sets] if intervention else []
    by_name: dict[str, ConditionSpec] = {}
    for condition in found:
        if by_name.setdefault(condition.name, condition) != condition:
            raise SpecError(
                f"Two conditions are named '{condition.name}' and differ.", hint="Rename one of them in the spec file."
            )
        if condition.is_baseline and condition.name != BASELINE:
            raise SpecError(
                f"Condition '{condition.name}' edits nothing.", hint=f"Give it sets, or name it `{BASELINE}`."
            )
        if not condition.is_baseline and intervention is None:
            raise SpecError(
                f"Condition '{condition.name}' needs feature sets, but the model has no intervention.",
                hint="Name one with --intervention, or run `--conditions baseline` only.",
            )
        if unknown := [name for name in condition.sets if name not in sets]:
            raise SpecError(
                f"Unknown feature set '{unknown[0]}' in condition '{condition.name}'.",
                hint=f"Known sets: {', '.join(sets)}. Combined edits are written `A+B`.",
            )
    return tuple(by_name.values())


def targets_of(
    conditions: tuple[ConditionSpec, ...], intervention: InterventionSpec | None
) -> dict[str, tuple[str, ...] | None]:
    """Condition -> the tasks that its sets were selected for; None where it has no sets or a set names no task."""
    targets: dict[str, tuple[str, ...] | None] = {}
    for condition in conditions:
        tasks = [intervention.get(name).task for name in condition.sets] if intervention else []
        named = tuple(dict.fromkeys(task for task in tasks if task is not None))
        targets[condition.name] = named if named and None not in tasks else None
    return targets
