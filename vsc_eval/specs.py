"""Inputs: frozen pydantic models that forbid unknown keys and are validated once, at the edge.

Every spec round-trips through YAML and has a content hash, which the answer store uses as a key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from vsc_eval.edit_kinds.base import EDITS, RESERVED, usage
from vsc_eval.errors import SpecError, known_names

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
    """Rescale a union's delta, token by token, to a norm taken from its single sets' deltas."""

    reference: Literal["mean", "max"] = "mean"
    """`mean`: mean of the L2 norms of the single sets' deltas at that token; `max`: the larger of them."""


class EditSpec(Spec):
    """What is done to the residual stream h at one decoder layer. The delta is added to h; the SAE's error term stays.

    Each kind has its formula in a file of vsc_eval.edit_kinds, or in another package's.
    """

    kind: Annotated[str, AfterValidator(EDITS.valid)] = "scale"
    """A kind of vsc_eval.edit_kinds, or another package's."""
    value: float | None = Field(default=None, allow_inf_nan=False)
    """What the kind says: alpha for `scale`; absent for a kind that takes none, as `ablate`."""
    positions: Literal["image", "text", "last", "all"] = "all"
    """Which prompt tokens are edited. `last` is the last prompt token."""
    decode: bool = True
    """Whether generated tokens are edited too (False: prefill only)."""
    norm_match: NormMatch | None = None
    """Only for unions of two or more sets."""
    random_directions: int | None = Field(default=None, ge=0)
    """The control "random directions of matched norm": a seed. Every W_dec[i] above gives way to a random direction of
    the same length, and the delta is rescaled at each token to the norm that it would have without this."""

    @model_serializer(mode="wrap")
    def _as_before_the_control(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """An edit without random directions keeps the dump and the hashes it had before there were any: answers stored
        under those stay valid."""
        fields: dict[str, Any] = handler(self)
        if self.random_directions is None:
            fields.pop("random_directions", None)
        return fields

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Self:
        EDITS.get(self.kind).strength(self.value)
        return self

    @property
    def strength(self) -> float:
        """alpha, or the value of another kind; 0 for `ablate`."""
        return EDITS.get(self.kind).strength(self.value)


class ConditionSpec(Spec):
    """Baseline (no sets), or one edit of one feature set or of a union of sets."""

    name: Annotated[str, Field(min_length=1)]
    sets: tuple[str, ...] = ()
    edit: EditSpec | None = None

    @model_validator(mode="after")
    def _sets_and_edit(self) -> Self:
        if bool(self.sets) != (self.edit is not None):
            raise ValueError("a condition has both `sets` and `edit`, or neither (the baseline)")
        if self.sets and self.name == BASELINE:
            raise ValueError(f"no edit can be named `{BASELINE}`: that is the condition without one")
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
    scores: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()
    """The selection score of each index, in the order of `indices`."""

    @model_validator(mode="after")
    def _indices_ok(self) -> Self:
        if not _NAME.match(self.name):
            raise ValueError(f"set name {self.name!r} may hold letters, digits, `_`, `-` and `.` only")
        if self.name == BASELINE:
            raise ValueError(f"no feature set can be named `{BASELINE}`: that is the condition without an edit")
        if not self.indices:
            raise ValueError(f"feature set {self.name!r} has no indices")
        if min(self.indices) < 0 or len(set(self.indices)) != len(self.indices):
            raise ValueError(f"feature set {self.name!r}: indices must be distinct and >= 0")
        if self.scores and len(self.scores) != len(self.indices):
            raise ValueError(f"feature set {self.name!r} has {len(self.indices)} indices but {len(self.scores)} scores")
        return self


class InterventionSpec(Spec):
    """`intervention.yaml` of a folder under `interventions/`: one SAE at one decoder layer, its sets and the default
    edit."""

    schema_version: Literal[1] = 1
    model: str
    """Name, hub id or path of the model that the SAE was trained on."""
    layer: int = Field(ge=0)
    """0-based decoder layer whose output is edited."""
    sae: str
    """Folder of the SAE, relative to the intervention's folder."""
    default_edit: EditSpec
    sets: tuple[FeatureSet, ...]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [s.name for s in self.sets]
        if len(set(names)) != len(names):
            raise ValueError("two feature sets have the same name")
        return self

    def get(self, name: str) -> FeatureSet:
        """The set of that name; raises SpecError naming the known ones."""
        for feature_set in self.sets:
            if feature_set.name == name:
                return feature_set
        raise SpecError(f"Unknown feature set '{name}'.", hint=known_names("sets", name, [s.name for s in self.sets]))


class SweepSpec(Spec):
    """`--spec FILE`: conditions written out in full."""

    schema_version: Literal[1] = 1
    conditions: tuple[ConditionSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [c.name for c in self.conditions]
        if len(set(names)) != len(names):
            raise ValueError("two conditions have the same name")
        return self


S = TypeVar("S", bound=Spec)


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def keys_at(model: type[BaseModel], path: Iterable[str | int]) -> list[str]:
    """Keys that `model` knows at a place inside it, given as field names and list positions."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
            if inner is not None:
                model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def place_words(path: Iterable[str | int]) -> str:
    """`sets[0].indices` from ("sets", 0, "indices")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "top level"


def explain(error: ValidationError, model: type[BaseModel], source: str) -> SpecError:
    """The first thing wrong with an input as a SpecError that names the place, the mistake and the fix.

    A misspelt key comes before the missing one that it causes.
    """
    errors = error.errors(include_url=False)
    misspelt = next((e for e in errors if e["type"] == "extra_forbidden"), None)
    if misspelt is not None:
        *parents, key = misspelt["loc"]
        inside = f" in '{place_words(parents)}'" if parents else ""
        return SpecError(
            f"{source}: unknown key '{key}'{inside}.",
            hint=known_names("keys", str(key), keys_at(model, parents)),
        )
    first = errors[0]
    if first["type"] == "missing":
        *parents, key = first["loc"]
        inside = f" in '{place_words(parents)}'" if parents else ""
        return SpecError(f"{source}: the key '{key}' is missing{inside}.", hint="Add it.")
    message = first["msg"].removeprefix("Value error, ")
    return SpecError(f"{source}: at '{place_words(first['loc'])}': {message}.", hint="Fix that entry.")


def load_yaml_spec(path: Path, model: type[S]) -> S:
    """Read a YAML file into `model`; raises SpecError naming file, key and fix."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # a SafeLoader
    except FileNotFoundError as error:
        raise SpecError(f"There is no file {path}.", hint="Check the path.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} cannot be read as YAML: {error}.", hint="Fix the file at that place.") from error
    if not isinstance(raw, dict):
        found = "is empty" if raw is None else f"holds a {type(raw).__name__} where keys and values are expected"
        raise SpecError(f"{path} {found}.", hint=f"Its keys are: {', '.join(model.model_fields)}.")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise explain(error, model, str(path)) from error


def save_yaml_spec(path: Path, spec: Spec) -> None:
    """Write `spec` as YAML, keys in the order of the model."""
    document = spec.model_dump(mode="json")
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    if yaml.safe_load(text) != document:  # PyYAML writes U+0085 as it is and reads it as a line's end
        text = yaml.safe_dump(document, sort_keys=False)
    path.write_text(text, encoding="utf-8")


def _number(text: str, expression: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SpecError(
            f"'{text}' in condition '{expression}' is not a number.", hint="Write for example `counting:scale=2`."
        ) from error


def _changes(modifier: str, expression: str) -> dict[str, Any]:
    """The fields of an EditSpec that one modifier sets."""
    key, _, value = modifier.partition("=")
    if key in ("image", "text", "last", "all") and not value:
        return {"positions": key}
    if key == "prefill" and not value:
        return {"decode": False}
    if key == "norm" and value in ("mean", "max"):
        return {"norm_match": {"reference": value}}
    if key == "random" and value.isascii() and value.isdigit():
        return {"random_directions": int(value)}
    if key not in RESERVED and key in EDITS:
        if EDITS.get(key).value is not None:
            return {"kind": key, "value": _number(value, expression)}
        if not value:
            return {"kind": key, "value": None}
    raise SpecError(
        f"Unknown modifier '{modifier}' in condition '{expression}'.",
        hint=f"Use {', '.join(usage())}, image, text, last, all, prefill, norm=mean, norm=max or random=SEED "
        "(a whole number).",
    )


def parse_condition(expression: str, default_edit: EditSpec) -> ConditionSpec:
    """`baseline`, `SET`, `SET+SET`, each with optional `:EDIT[:POSITIONS][:norm=mean|max][:random=SEED][:prefill]`.

    EDIT is a kind of vsc_eval.edit_kinds, such as `scale=2` or `ablate`; SEED a whole number >= 0; what is left out
    comes from `default_edit`, whose norm matching applies to unions only. The expression is the condition's name.

    Raises SpecError.
    """
    head, *modifiers = expression.strip().split(":")
    if head == BASELINE:
        if modifiers:
            raise SpecError(f"'{expression}': the baseline takes no edit.", hint=f"Write `{BASELINE}` alone.")
        return ConditionSpec(name=BASELINE)
    sets = tuple(name.strip() for name in head.split("+"))
    if not all(sets):
        raise SpecError(
            f"Condition '{expression}' names an empty feature set.", hint="Write for example `counting+logic:scale=2`."
        )
    edit = default_edit.model_dump()
    if len(sets) < 2:
        edit["norm_match"] = None
    written: dict[str, str] = {}
    for modifier in modifiers:
        changes = _changes(modifier, expression)
        for key in changes:
            if key in written:
                raise SpecError(
                    f"'{written[key]}' and '{modifier}' contradict or repeat each other in condition '{expression}'.",
                    hint="Keep one of the two.",
                )
            written[key] = modifier
        edit.update(changes)
    try:
        return ConditionSpec(name=expression.strip(), sets=sets, edit=EditSpec.model_validate(edit))
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SpecError(f"Condition '{expression}': {message}.", hint="Fix the condition.") from error
