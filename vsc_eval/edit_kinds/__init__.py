"""Edit kinds, one file each: what is done to the features of a set. Nothing here imports torch.

Another package adds one by an entry point of the group `vsc_eval.edits` (see vsc_eval.registry); conditions then name
it like ours: `counting:mykind=2`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsc_eval.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

RESERVED = frozenset({"image", "text", "last", "all", "prefill", "norm", "random"})
"""What a condition's other modifiers are called."""


@dataclass(frozen=True)
class EditKind:
    """delta = sum_S c_i W_dec[i] over the features S of a set; the kind says what c is.

    `coefficients` maps the activations z [N, S] of the set's features at N tokens (zero where one did not fire) and the
    value to c [N, S], float32 on z's device. It must be elementwise: a feature's coefficient depends on its own z.
    """

    name: str
    """As in `counting:name=2`: lower case, digits and `_`."""
    coefficients: Callable[[Tensor, float], Tensor]
    value: str | None
    """What the value is, in words; None: the kind takes none, and `fixed` stands for it."""
    fixed: float | None = None
    """The strength of a kind without a value."""
    neutral: float | None = None
    """The value at which the edit is exactly the baseline; None: there is none."""
    edits_silent: bool = False
    """Whether features that did not fire at a token are edited there too."""
    unit_rows: bool = False
    """Whether W_dec[i] is taken at unit length."""
    check: Callable[[float], str | None] = lambda value: None
    """What is wrong with a value; None if nothing is."""

    def strength(self, value: float | None) -> float:
        """The value, or what stands for it. Raises ValueError, in a user's words, for a value that does not fit."""
        if self.value is None:
            if value is not None:
                raise ValueError(f"`{self.name}` takes no `value`; remove it, or use kind: scale")
            assert self.fixed is not None, self.name
            return self.fixed
        if value is None:
            raise ValueError(f"`{self.name}` needs a `value`")
        if why := self.check(value):
            raise ValueError(f"`{self.name}` cannot have the value {value:g}: {why}")
        return value

    @property
    def usage(self) -> str:
        """As it stands in a condition: `scale=X`."""
        return self.name if self.value is None else f"{self.name}=X"


def _fault(kind: EditKind) -> str | None:
    if kind.name in RESERVED or not (kind.name.isidentifier() and kind.name.islower() and kind.name.isascii()):
        return f"'{kind.name}' cannot be a kind's name in a condition"
    if (kind.value is None) != (kind.fixed is not None):
        return "a kind has either a value or a fixed strength"
    return None


EDITS: Registry[EditKind] = Registry(
    "edit kind",
    "vsc_eval.edits",
    {name: f"{__name__}.{name}:{name.upper()}" for name in ("scale", "ablate", "clamp", "add")},
    EditKind,
    _fault,
)
