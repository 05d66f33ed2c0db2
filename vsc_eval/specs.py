"""Inputs: frozen pydantic models that forbid unknown keys and are validated once, at the edge.

Every spec round-trips through YAML and has a content hash, which the answer store uses as a key.
"""

import json
import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from vsc_eval.edit_kinds import EDITS, RESERVED
from vsc_eval.errors import SpecError, known_names
from vsc_eval.files import short_hash, write_text
from vsc_eval.mistakes import validated
from vsc_eval.yaml_files import read_yaml, yaml_text

BASELINE = "baseline"

Positions = Literal["image", "text", "last", "all"]
"""Prompt tokens; `last` is the last one."""

_NAME = re.compile(r"^[A-Za-z0-9_.\-]+$")


class Spec(BaseModel):
    """Base of every input: immutable, no unknown keys, hashable by content."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def content_hash(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON of this spec."""
        payload = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return short_hash(payload)


class NormMatch(Spec):
    """Rescale a combined edit's delta, token by token, to a norm taken from its single sets' deltas."""

    reference: Literal["mean", "max"] = "mean"
    """`mean`: mean of the L2 norms of the single sets' deltas at that token; `max`: the larger of them."""


class EditSpec(Spec):
    """What is done to the residual stream h at one decoder layer. The delta is added to h; the SAE's error term stays.

    Each kind has its formula in vsc_eval.edit_kinds, or in another package's.
    """

    kind: Annotated[str, AfterValidator(EDITS.valid)] = "scale"
    """A kind of vsc_eval.edit_kinds, or another package's."""
    value: float | None = Field(default=None, allow_inf_nan=False)
    """What the kind says: alpha for `scale`; absent for a kind that takes none, as `ablate`."""
    positions: Positions = "all"
    """Which prompt tokens are edited. `last` is the last prompt token."""
    decode: bool = True
    """Whether generated tokens are edited too (False: prefill only)."""
    norm_match: NormMatch | None = None
    """Only for combined edits of two or more sets."""
    random_directions: int | None = Field(default=None, ge=0)
    """The control "random directions of matched norm": a seed. Every W_dec[i] above gives way to a random direction of
    the same length, and the delta is rescaled at each token to the norm that it would have without this."""

    @property
    def strength(self) -> float:
        """alpha, or the value of another kind; 0 for `ablate`."""
        return EDITS.get(self.kind).strength(self.value)

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


class ConditionSpec(Spec):
    """Baseline (no sets), or one edit of one feature set or of several sets together."""

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
            raise ValueError("`norm_match` needs a combined edit of at least two sets")
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


def _check_distinct(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"two {what} have the same name")


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
        _check_distinct("feature sets", [s.name for s in self.sets])
        return self

    def get(self, name: str) -> FeatureSet:
        """The set of that name; raises SpecError naming the known ones."""
        sets = {feature_set.name: feature_set for feature_set in self.sets}
        if name not in sets:
            raise SpecError(f"Unknown feature set '{name}'.", hint=known_names("sets", name, sets))
        return sets[name]


def _branch(value: Any) -> str:
    return "condition" if isinstance(value, dict | ConditionSpec) else "expression"


class SweepSpec(Spec):
    """`--spec FILE`: conditions written out in full, or as expressions."""

    schema_version: Literal[1] = 1
    conditions: tuple[
        Annotated[
            Annotated[str, Tag("expression")] | Annotated[ConditionSpec, Tag("condition")], Discriminator(_branch)
        ],
        ...,
    ] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        _check_distinct("conditions", [c if isinstance(c, str) else c.name for c in self.conditions])
        return self


S = TypeVar("S", bound=Spec)


def load_yaml_spec(path: Path, model: type[S]) -> S:
    """Read a YAML file into `model`; raises SpecError naming file, line, key and fix."""
    file = read_yaml(path, tuple(model.model_fields))
    return validated(model, file.value, file)


def save_yaml_spec(path: Path, spec: Spec) -> None:
    """Write `spec` as YAML in one step, keys in the order of the model. Raises BackendError if that fails."""
    write_text(path, yaml_text(spec.model_dump(mode="json")))


def _changes(modifier: str, expression: str) -> dict[str, Any]:
    """The fields of an EditSpec that one modifier sets."""
    key, _, value = modifier.partition("=")
    if key in get_args(Positions) and not value:
        return {"positions": key}
    if key == "prefill" and not value:
        return {"decode": False}
    if key == "norm" and value in ("mean", "max"):
        return {"norm_match": {"reference": value}}
    if key == "random" and value.isascii() and value.isdigit():
        return {"random_directions": int(value)}
    if key not in RESERVED and key in EDITS:
        if EDITS.get(key).value is not None:
            try:
                return {"kind": key, "value": float(value)}
            except ValueError as error:
                raise SpecError(
                    f"'{value}' in condition '{expression}' is not a number.",
                    hint="Write for example `counting:scale=2`.",
                ) from error
        if not value:
            return {"kind": key, "value": None}
    raise SpecError(
        f"Unknown modifier '{modifier}' in condition '{expression}'.",
        hint=f"Use {', '.join(kind.usage for kind in EDITS)}, image, text, last, all, prefill, norm=mean, norm=max or "
        "random=SEED (a whole number).",
    )


_NUMBER = r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*"
_GRID = re.compile(rf"[^=]*={_NUMBER}(,{_NUMBER})*")
_GOES_ON = re.compile(rf"{_NUMBER}(:.*)?")


def split_names(text: str) -> tuple[str, ...]:
    """The names or conditions of a list with commas. A comma between numbers belongs to a grid:
    `a:scale=0,0.5:image,b` holds `a:scale=0,0.5:image` and `b`."""
    found: list[str] = []
    for part in text.split(","):
        if found and _GOES_ON.fullmatch(part) and _GRID.fullmatch(found[-1].rpartition(":")[2]):
            found[-1] += f",{part}"
        else:
            found.append(part)
    return tuple(name.strip() for name in found if name.strip())


def expand_condition(expression: str) -> tuple[str, ...]:
    """The conditions that a grid stands for, in order: `a:scale=0,0.5` -> `a:scale=0`, `a:scale=0.5`. Two grids in one
    expression are their product, the last one running fastest; an expression without a grid stands for itself."""
    choices = []
    for part in expression.strip().split(":"):
        key, equals, values = part.partition("=")
        choices.append([f"{key}{equals}{value.strip()}" for value in values.split(",")] if equals else [part])
    return tuple(":".join(parts) for parts in product(*choices))


def parse_conditions(expressions: Iterable[str], default_edit: EditSpec) -> list[ConditionSpec]:
    """Every condition that `expressions` name, grids written out. Raises SpecError as `parse_condition`."""
    return [parse_condition(name, default_edit) for expression in expressions for name in expand_condition(expression)]


def parse_condition(expression: str, default_edit: EditSpec) -> ConditionSpec:
    """`baseline`, `SET`, `SET+SET`, each with optional `:EDIT[:POSITIONS][:norm=mean|max][:random=SEED][:prefill]`.

    EDIT is a kind of vsc_eval.edit_kinds, such as `scale=2` or `ablate`; SEED a whole number >= 0; what is left out
    comes from `default_edit`, whose norm matching applies to unions only. The expression is the condition's name.
    Raises SpecError.
    """
    if len(named := expand_condition(expression)) > 1:
        raise SpecError(
            f"'{expression}' is a grid of {len(named)} conditions, where one belongs.",
            hint=f"Write one of them, for example `{named[0]}`.",
        )
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
