"""What `vsc-eval run` was asked to do."""

from __future__ import annotations

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
        return StatisticsSpec(**{name: getattr(self, name) for name in StatisticsSpec.model_fields})


def needs_intervention(spec: RunSpec) -> bool:
    """Whether there is anything to edit with: sets are asked for, or an intervention is named."""
    return (
        spec.intervention is not None
        or spec.sweep_file is not None
        or any(c.strip() != BASELINE for c in spec.conditions)
    )


def intervention_name(spec: RunSpec) -> str:
    """The intervention that was named, or the one named like the model."""
    return spec.intervention or Path(spec.model).name


def resolve_conditions(spec: RunSpec, intervention: InterventionSpec | None) -> tuple[ConditionSpec, ...]:
    """All conditions in order, the baseline first. Raises SpecError for an unknown set, a repeated name or no
    intervention."""
    default_edit = intervention.default_edit if intervention else EditSpec(kind="ablate")
    found = [ConditionSpec(name=BASELINE), *parse_conditions(spec.conditions, default_edit)]
    for condition in load_yaml_spec(spec.sweep_file, SweepSpec).conditions if spec.sweep_file is not None else ():
        found += parse_conditions([condition], default_edit) if isinstance(condition, str) else [condition]
    by_name: dict[str, ConditionSpec] = {}
    for condition in found:
        known = by_name.setdefault(condition.name, condition)
        if known != condition:
            raise SpecError(
                f"Two conditions are named '{condition.name}' and differ.", hint="Rename one of them in the spec file."
            )
    _check_sets(by_name, intervention)
    return tuple(by_name.values())


def _check_sets(conditions: dict[str, ConditionSpec], intervention: InterventionSpec | None) -> None:
    for condition in conditions.values():
        if condition.is_baseline:
            if condition.name != BASELINE:
                raise SpecError(
                    f"Condition '{condition.name}' edits nothing.", hint=f"Give it sets, or name it `{BASELINE}`."
                )
        elif intervention is None:
            raise SpecError(
                f"Condition '{condition.name}' needs feature sets, but the model has no intervention.",
                hint="Name one with --intervention, or run `--conditions baseline` only.",
            )
        else:
            known = [feature_set.name for feature_set in intervention.sets]
            for name in condition.sets:
                if name not in known:
                    raise SpecError(
                        f"Unknown feature set '{name}' in condition '{condition.name}'.",
                        hint=f"Known sets: {', '.join(known)}. Combined edits are written `A+B`.",
                    )


def targets_of(
    conditions: tuple[ConditionSpec, ...], intervention: InterventionSpec | None
) -> dict[str, tuple[str, ...] | None]:
    """Condition -> the tasks that its sets were selected for; None where it has no sets or a set names no task."""
    targets: dict[str, tuple[str, ...] | None] = {}
    for condition in conditions:
        tasks = [intervention.get(name).task for name in condition.sets] if intervention else []
        named = [task for task in tasks if task is not None]
        targets[condition.name] = tuple(dict.fromkeys(named)) if named and len(named) == len(tasks) else None
    return targets
