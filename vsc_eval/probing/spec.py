"""What `vsc-eval probe` is asked for: the model, the items, the probe and the rule that picks the layer."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from vsc_eval.specs import Spec
from vsc_eval.synthetic import SYNTHETIC_TASKS, TASKS

Pooling = Literal["last", "image", "text"]
"""Tokens over which a prompt's hidden states are averaged: the last one, the picture's, or all others."""
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

Target = Literal["task", "level"]
TARGETS: tuple[Target, ...] = get_args(Target)

EMBEDDINGS = -1
"""Number of the embedding layer: what decoder layer 0 gets, text embeddings with the picture's features merged in."""

SPLIT = "select"
"""Of both parts: what chooses a layer must not see the scenes of the `test` split, on which its edits are judged."""

_WholeOrbits = Annotated[int, Field(gt=0, multiple_of=4)]


class LayerRule(Spec):
    """How the layer is picked from the task probe's test accuracy.

    Candidates are decoder layers 0 to n-2: above the last layer there is none through which an edit could act.
    peak: the best layer; earliest: the first one within `tolerance` of the best; selectivity: the layer with the
    largest difference between real and random labels; fixed: `layer`, whatever the probes say. Ties go to the earliest.
    """

    kind: Literal["peak", "earliest", "selectivity", "fixed"] = "peak"
    pooling: Pooling = "text"
    """Whose probe decides; without meaning for `fixed`."""
    tolerance: float | None = Field(default=None, ge=0, le=1)
    """For `earliest` only: how far below the best accuracy a layer may be."""
    layer: int | None = Field(default=None, ge=0)
    """For `fixed` only."""

    @model_validator(mode="after")
    def _options_fit_kind(self) -> Self:
        for kind, name in (("earliest", "tolerance"), ("fixed", "layer")):
            given = getattr(self, name) is not None
            if given and self.kind != kind:
                raise ValueError(f"`{name}` belongs to the rule `{kind}`; the rule is `{self.kind}`")
            if not given and self.kind == kind:
                raise ValueError(f"the rule `{kind}` needs `{name}`")
        return self

    def in_words(self) -> str:
        """The rule as one clause."""
        probe = f"the task probe on {self.pooling} tokens"
        match self.kind:
            case "peak":
                return f"best held-out accuracy of {probe}, the earliest of equals"
            case "earliest":
                return f"earliest layer within {self.tolerance:g} of the best held-out accuracy of {probe}"
            case "selectivity":
                return f"largest accuracy of {probe} above random labels, the earliest of equals"
            case "fixed":
                return "fixed by the spec"


class ProbingSpec(Spec):
    """`vsc-eval probe`."""

    model: str
    """Embedded model, path or hub id."""
    revision: str | None = None
    tasks: Annotated[tuple[str, ...], Field(min_length=2)] = TASKS
    items_per_cell: _WholeOrbits = 20
    """Items of each (task, level) that the probes learn from: the first of split `select`, ordinary wording."""
    test_items_per_cell: _WholeOrbits = 20
    """Items of each (task, level) that they are tested on: those that follow in the split, in held-out paraphrases."""
    poolings: Annotated[tuple[Pooling, ...], Field(min_length=1)] = POOLINGS
    folds: int = Field(default=5, ge=2)
    """Of the cross-validation; an orbit is never split."""
    C: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """Inverse strength of the L2 penalty (scikit-learn's C) on standardised features. Fixed: the same in every layer,
    so that no layer is better only because its penalty was tuned better."""
    random_draws: int = Field(default=5, ge=1)
    """Shuffles of the labels over which the random-label control is averaged."""
    rule: LayerRule = LayerRule()
    seed: int = 0
    """Of folds, shuffled labels, intervals and the order of the prompts."""
    batch_size: int = Field(default=16, gt=0)
    """Prompts a model forward."""

    @model_validator(mode="after")
    def _known_and_once(self) -> Self:
        unknown = [task for task in self.tasks if task not in SYNTHETIC_TASKS]
        if unknown:
            raise ValueError(f"unknown task '{unknown[0]}' (known: {', '.join(SYNTHETIC_TASKS.names())})")
        for name, values in (("tasks", self.tasks), ("poolings", self.poolings)):
            if len(set(values)) != len(values):
                raise ValueError(f"`{name}` names one of {list(values)} twice")
        if self.rule.pooling not in self.poolings:
            raise ValueError(f"the rule looks at pooling '{self.rule.pooling}', which is not in `poolings`")
        return self
