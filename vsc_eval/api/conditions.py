"""Feature sets and what is done to them, as objects that write the expressions of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from vsc_eval.errors import SpecError
from vsc_eval.specs import ConditionSpec, parse_condition

if TYPE_CHECKING:
    from vsc_eval.api.intervention import Intervention


class EditOptions(TypedDict, total=False):
    """What else an edit may say. What is left out is the intervention's default edit's."""

    positions: Literal["image", "text", "last", "all"]
    """Which prompt tokens are edited; `last` is the last one."""
    norm: Literal["mean", "max"]
    """Of combined sets: the delta is rescaled, token by token, to the mean or the larger of the single sets' norms."""
    random: int
    """Seed of a control: random directions in the place of the features', of the same norm at every token."""
    prefill: bool
    """True: only the prompt is edited, not the generated tokens."""


class Condition(str):
    """An edit of feature sets. It is a string, the expression that the command line takes, and equal to it.

    >>> import vsc_eval as vsc
    >>> counting = vsc.load_intervention("vsc-tiny")["counting"]
    >>> counting.scale(4, positions="image")
    Condition('counting:scale=4:image')
    >>> counting.ablate() == "counting:ablate"
    True
    """

    spec: ConditionSpec
    """The condition in full."""
    intervention: Intervention
    """Where its sets are from."""

    def __new__(cls, expression: str, intervention: Intervention) -> Condition:
        """Raises SpecError for an expression that cannot be read, or a set that the intervention does not have."""
        spec = parse_condition(expression, intervention.default_edit)
        for name in spec.sets:
            intervention.spec.get(name)
        made = super().__new__(cls, spec.name)
        made.spec = spec
        made.intervention = intervention
        return made

    def __getnewargs__(self) -> tuple[str, Intervention]:  # type: ignore[override]
        return str(self), self.intervention

    def __repr__(self) -> str:
        return f"Condition({str(self)!r})"


@dataclass(frozen=True, eq=False, repr=False)
class FeatureSet:
    """One or several named sets of SAE features of an intervention. `+` combines them; a feature that two sets share
    is edited once.

    With h the residual stream at the intervention's layer, z the features' activations and W their decoder rows, an
    edit adds to h, at each edited token: `scale(x)` (x - 1) z W, `ablate()` -z W, `clamp(x)` (x - z) W, and `add(x)`
    x times the sum of the unit rows. What the SAE does not explain stays in the stream. Options: see EditOptions.

    Given as a condition itself, a set means the intervention's default edit of it.
    """

    intervention: Intervention
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """`counting`, or `counting+logic`."""
        return "+".join(self.names)

    @property
    def indices(self) -> tuple[int, ...]:
        """The features' numbers, in the order of the sets, each once."""
        own = (self.intervention.spec.get(name).indices for name in self.names)
        return tuple(dict.fromkeys(index for indices in own for index in indices))

    def scale(self, alpha: float, **options: Unpack[EditOptions]) -> Condition:
        """Activations times `alpha`: 0 removes the features, 1 changes nothing."""
        return self.edit(f"scale={_number(alpha)}", **options)

    def ablate(self, **options: Unpack[EditOptions]) -> Condition:
        """Activations set to 0."""
        return self.edit("ablate", **options)

    def clamp(self, value: float, **options: Unpack[EditOptions]) -> Condition:
        """Activations set to `value`, whether the features fired or not."""
        return self.edit(f"clamp={_number(value)}", **options)

    def add(self, value: float, **options: Unpack[EditOptions]) -> Condition:
        """`value` times the sum of the features' unit decoder rows added, whatever the activations are."""
        return self.edit(f"add={_number(value)}", **options)

    def edit(self, edit: str = "", **options: Unpack[EditOptions]) -> Condition:
        """An edit as the command line writes it (`scale=4`), for kinds that other packages bring too; without one, the
        default edit. Raises SpecError for what does not fit together, as a norm of a single set."""
        words = [self.name, edit, options.get("positions", "")]
        words += [f"{key}={value}" for key in ("norm", "random") if (value := options.get(key)) is not None]
        words += ["prefill"] if options.get("prefill") else []
        if unknown := set(options) - set(EditOptions.__annotations__):
            raise SpecError(
                f"An edit has no option '{sorted(unknown)[0]}'.",
                hint=f"Options: {', '.join(EditOptions.__annotations__)}.",
            )
        return Condition(":".join(filter(None, words)), self.intervention)

    def __add__(self, other: FeatureSet) -> FeatureSet:
        if not isinstance(other, FeatureSet):
            return NotImplemented
        if other.intervention is not self.intervention:
            raise SpecError(
                f"'{self.name}' and '{other.name}' are sets of two interventions.",
                hint="Load one with both: load_intervention(..., sets={...}).",
            )
        return FeatureSet(self.intervention, self.names + other.names)

    def __len__(self) -> int:
        """Number of features."""
        return len(self.indices)

    def __repr__(self) -> str:
        return f"FeatureSet('{self.name}', {len(self)} features)"


def _number(value: float) -> str:
    """As the expression has it: 4.0 as `4`."""
    return repr(float(value)).removesuffix(".0")


Given = str | FeatureSet
"""What may stand for a condition; a Condition is a str."""


def one_intervention(given: Iterable[Given], named: Intervention | None = None) -> Intervention | None:
    """The intervention that the objects among `given` are of, or the one that was `named`. Raises SpecError for two."""
    found = [entry.intervention for entry in given if isinstance(entry, Condition | FeatureSet)]
    for intervention in found:
        if intervention is not (named or found[0]):
            raise SpecError(
                f"The conditions are of two interventions, '{(named or found[0]).name}' and '{intervention.name}'.",
                hint="A run edits one layer with one SAE: load one intervention, and take all sets from it.",
            )
    return named or (found[0] if found else None)


def expression(given: Given) -> str:
    """The expression of a condition; that of a set is its name, for the default edit."""
    return given.name if isinstance(given, FeatureSet) else str(given)
