"""What `vsc-eval run` was asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from vsc_eval.backends.registry import BackendName
from vsc_eval.backends.vllm.arguments import options_that_count
from vsc_eval.errors import SpecError
from vsc_eval.specs import (
    BASELINE,
    ConditionSpec,
    EditSpec,
    InterventionSpec,
    Spec,
    SweepSpec,
    load_yaml_spec,
    parse_condition,
)

_HOW = frozenset(
    {"batch_size", "device", "vllm", "engine_mode", "conditions", "sweep_file", "include_path", "data_dir"}
)
"""Fields that say how to compute, which a resumed run may change, or that are recorded in resolved form."""


class RunSpec(Spec):
    """One model, some tasks, many conditions."""

    model: str = "vsc-tiny"
    """`vsc-tiny`, a hub id or a folder."""
    revision: str | None = None
    trust_remote_code: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_pixels: int | None = Field(default=None, ge=1)
    min_pixels: int | None = Field(default=None, ge=1)
    attn_implementation: str | None = None
    intervention: str | None = None
    """Name or folder of the intervention; None: the intervention named like the model, if there is one."""
    tasks: tuple[str, ...] = ("vsc",)
    include_path: tuple[Path, ...] = ()
    """Folders with more task files."""
    data_dir: Path | None = None
    """Folder with local copies of external data sets."""
    override: tuple[str, ...] = ()
    """Keys of task files set anew: `cvbench.dataset.revision=main`."""
    conditions: tuple[str, ...] = (BASELINE,)
    """Expressions (`counting`, `counting+logic:scale=2`); the baseline is always run."""
    sweep_file: Path | None = None
    """Conditions written out in full; they come after `conditions`."""
    n: int | None = Field(default=None, ge=4)
    """Items per cell of the synthetic benchmark (a multiple of 4); None: the task files' own number."""
    limit: int | None = Field(default=None, ge=1)
    """lm-eval's limit: the first so many items of each task."""
    scoring: Literal["loglikelihood", "generate"] = "loglikelihood"
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Of the `generate` scoring; None: what the task file says."""
    seed: int = Field(default=0, ge=0)
    """Seed of the bootstrap and of lm-eval."""
    batch_size: int | None = Field(default=None, ge=1)
    """Prompts a batch; None: the backend's own number."""
    device: str = "auto"
    engine_mode: Literal["auto", "shared", "hooks"] = "auto"
    backend: BackendName = "hf"
    """What runs the model: transformers, vLLM or another package's backend."""
    vllm: dict[str, Any] = Field(default_factory=dict)
    """Arguments of vLLM."""

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> Self:
        if not self.tasks:
            raise ValueError("no task is named")
        if self.max_new_tokens is not None and self.scoring != "generate":
            raise ValueError(
                "max_new_tokens is of the `generate` scoring; the `loglikelihood` scoring writes no tokens"
            )
        if self.backend == "hf" and self.vllm:
            raise ValueError("arguments of vLLM (--vllm) go with --backend vllm")
        if self.backend == "vllm" and (self.engine_mode, self.device, self.attn_implementation) != ("auto",) * 2 + (
            None,
        ):
            raise ValueError("--engine-mode, --device and --attn-implementation are not of --backend vllm")
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that a resumed run must share: all but how and where it is computed."""
        found = {k: v for k, v in self.model_dump(mode="json").items() if k not in _HOW}
        if self.backend == "vllm":
            found["vllm"] = options_that_count(self.vllm)
        # Absent where they say nothing, so that runs from before they were there can be resumed.
        silent = {"override": not self.override, "backend": self.backend == "hf"}
        return {name: value for name, value in found.items() if not silent.get(name)}


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
    found = [ConditionSpec(name=BASELINE)]
    found += [parse_condition(expression, default_edit) for expression in spec.conditions]
    if spec.sweep_file is not None:
        found += load_yaml_spec(spec.sweep_file, SweepSpec).conditions
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
                        hint=f"Known sets: {', '.join(known)}. Unions are written `A+B`.",
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
