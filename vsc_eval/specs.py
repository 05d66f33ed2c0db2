"""Inputs: frozen pydantic models that forbid unknown keys and are validated once, at the edge.

Every spec round-trips through YAML and has a content hash, which the answer store uses as a key.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vsc_eval.errors import SpecError

BASELINE = "baseline"

_NAME = re.compile(r"^[A-Za-z0-9_.\-]+$")


class Spec(BaseModel):
    """Base of every input: immutable, no unknown keys, hashable by content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def content_hash(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON of this spec."""
        payload = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(payload.encode()).hexdigest()[:16]


class NormMatch(Spec):
    """Rescale a union's delta, token by token, to a norm taken from its single sets' deltas (statistics: norm-matched union)."""

    reference: Literal["mean", "max"] = "mean"
    """`mean`: mean of the L2 norms of the single sets' deltas at that token; `max`: the larger of them."""


class EditSpec(Spec):
    """What is done to the residual stream h at one decoder layer. The delta is added to h; the SAE's error term stays.

    scale: delta = sum_S (value - 1) z_i W_dec[i];  ablate: the same with value 0;  clamp: delta = sum_S (value - z_i) W_dec[i];
    add: delta = value * sum_S W_dec[i] (unit decoder rows), whatever z is.
    """

    kind: Literal["scale", "ablate", "clamp", "add"] = "scale"
    value: float | None = None
    """alpha for `scale`, target activation for `clamp`, coefficient for `add`; must be absent for `ablate`."""
    positions: Literal["image", "text", "last", "all"] = "all"
    """Which prompt tokens are edited. `last` is the last prompt token."""
    decode: bool = True
    """Whether generated tokens are edited too (False: prefill only)."""
    norm_match: NormMatch | None = None
    """Only for unions of two or more sets."""

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Self:
        if self.kind == "ablate" and self.value is not None:
            raise ValueError("`ablate` takes no `value`; remove it, or use kind: scale")
        if self.kind != "ablate" and self.value is None:
            raise ValueError(f"`{self.kind}` needs a `value`")
        return self


class ConditionSpec(Spec):
    """Baseline (no sets), or one edit of one feature set or of a union of sets."""

    name: Annotated[str, Field(min_length=1)]
    sets: tuple[str, ...] = ()
    edit: EditSpec | None = None

    @model_validator(mode="after")
    def _sets_and_edit(self) -> Self:
        if bool(self.sets) != (self.edit is not None):
            raise ValueError("a condition has both `sets` and `edit`, or neither (the baseline)")
        if len(set(self.sets)) != len(self.sets):
            raise ValueError(f"a set is named twice in {list(self.sets)}")
        if self.edit and self.edit.norm_match and len(self.sets) < 2:
            raise ValueError("`norm_match` needs a union of at least two sets")
        return self

    @property
    def is_baseline(self) -> bool:
        return not self.sets


class FeatureSet(Spec):
    """Named SAE feature indices, with the rule and the data that chose them."""

    name: str
    indices: tuple[int, ...]
    task: str | None = None
    """The benchmark task the set was selected for: drift on this task is on target, on the others off target."""
    provenance: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    scores: tuple[float, ...] = ()
    """The selection score of each index, in the order of `indices`."""

    @model_validator(mode="after")
    def _indices_ok(self) -> Self:
        if not _NAME.match(self.name):
            raise ValueError(f"set name {self.name!r} may hold letters, digits, `_`, `-` and `.` only")
        if not self.indices:
            raise ValueError(f"feature set {self.name!r} has no indices")
        if min(self.indices) < 0 or len(set(self.indices)) != len(self.indices):
            raise ValueError(f"feature set {self.name!r}: indices must be distinct and >= 0")
        return self


class InterventionSuite(Spec):
    """`suite.yaml` of a folder under `interventions/`: one SAE at one decoder layer, its sets and the default edit."""

    schema_version: Literal[1] = 1
    model: str
    """Name, hub id or path of the model that the SAE was trained on."""
    layer: int = Field(ge=0)
    """0-based decoder layer whose output is edited."""
    sae: str
    """Folder of the SAE, relative to the suite's folder."""
    default_edit: EditSpec
    sets: tuple[FeatureSet, ...]

    def get(self, name: str) -> FeatureSet:
        """The set of that name; raises SpecError naming the known ones."""
        for feature_set in self.sets:
            if feature_set.name == name:
                return feature_set
        raise SpecError(
            f"Unknown feature set '{name}'.", mend=f"Known sets: {', '.join(s.name for s in self.sets)}."
        )


class SweepSpec(Spec):
    """`--spec FILE`: conditions written out in full."""

    schema_version: Literal[1] = 1
    conditions: tuple[ConditionSpec, ...]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [c.name for c in self.conditions]
        if len(set(names)) != len(names):
            raise ValueError("two conditions have the same name")
        return self


S = TypeVar("S", bound=Spec)


def load_yaml_spec(path: Path, model: type[S]) -> S:
    """Read a YAML file into `model`; raises SpecError naming file, key and mend."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"There is no file {path}.", mend="Check the path.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} cannot be read as YAML: {error}", mend="Mend the file at that place.") from error
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise SpecError(
                f"{path}: unknown key '{where}'.", mend=f"Check its spelling; top-level keys are: {known}."
            ) from error
        raise SpecError(f"{path}: at '{where}': {first['msg']}.", mend="Mend that entry.") from error


def save_yaml_spec(path: Path, spec: Spec) -> None:
    """Write `spec` as YAML, keys in the order of the model."""
    path.write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _number(text: str, expression: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SpecError(
            f"'{text}' in condition '{expression}' is not a number.", mend="Write for example `counting:scale=2`."
        ) from error


def parse_condition(expression: str, default_edit: EditSpec) -> ConditionSpec:
    """`baseline`, `SET`, `SET+SET`, each with optional `:EDIT[:POSITIONS][:norm=mean|max][:prefill]`.

    EDIT is `scale=2`, `ablate`, `clamp=5` or `add=3`; what is left out comes from `default_edit`. The expression is the
    condition's name. Raises SpecError.
    """
    head, *modifiers = expression.strip().split(":")
    if head == BASELINE:
        if modifiers:
            raise SpecError(f"'{expression}': the baseline takes no edit.", mend=f"Write `{BASELINE}` alone.")
        return ConditionSpec(name=BASELINE)
    edit = default_edit.model_dump()
    for modifier in modifiers:
        key, _, value = modifier.partition("=")
        if key == "ablate" and not value:
            edit.update(kind="ablate", value=None)
        elif key in ("scale", "clamp", "add"):
            edit.update(kind=key, value=_number(value, expression))
        elif key in ("image", "text", "last", "all") and not value:
            edit.update(positions=key)
        elif key == "prefill" and not value:
            edit.update(decode=False)
        elif key == "norm" and value in ("mean", "max"):
            edit.update(norm_match={"reference": value})
        else:
            raise SpecError(
                f"Unknown modifier '{modifier}' in condition '{expression}'.",
                mend="Use scale=X, ablate, clamp=X, add=X, image, text, last, all, prefill, norm=mean or norm=max.",
            )
    try:
        return ConditionSpec(name=expression.strip(), sets=tuple(head.split("+")), edit=EditSpec.model_validate(edit))
    except ValidationError as error:
        raise SpecError(f"Condition '{expression}': {error.errors()[0]['msg']}.", mend="Mend the condition.") from error
