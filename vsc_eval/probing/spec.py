"""What `vsc-eval probe` is asked for: the model, the items, the probe and the rule that picks the layer."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from vsc_eval.settings import ItemsPerCell, ModelSpec, Settings, TaskTypesSpec, with_default
from vsc_eval.specs import Spec

Pooling = Literal["last", "image", "text"]
"""Tokens over which a prompt's hidden states are averaged: the last one, the picture's, or all others."""
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

Target = Literal["task", "level"]
TARGETS: tuple[Target, ...] = get_args(Target)

EMBEDDINGS = -1
"""Number of the embedding layer: what decoder layer 0 gets, text embeddings with the picture's features merged in."""

SPLIT = "select"
"""Of both parts: what chooses a layer must not see the scenes of the `test` split, on which its edits are judged."""


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
        return {
            "peak": f"best held-out accuracy of {probe}, the earliest of equals",
            "earliest": f"earliest layer within {self.tolerance or 0:g} of the best held-out accuracy of {probe}",
            "selectivity": f"largest accuracy of {probe} above random labels, the earliest of equals",
            "fixed": "fixed by the spec",
        }[self.kind]


class ProbeSizes(Settings):
    """On how many items probes learn and are tested."""

    items_per_cell: ItemsPerCell = 20
    """Items of each task and level that the probes learn from: the first of split `select`, ordinary wording."""
    test_items_per_cell: ItemsPerCell = 20
    """Items of each task and level that they are tested on: those that follow in the split, in held-out paraphrases."""
    folds: int = Field(default=5, ge=2)
    """Of the cross-validation; an orbit is never split."""


class ProbingSpec(ProbeSizes, TaskTypesSpec, ModelSpec):
    """`vsc-eval probe`."""

    poolings: Annotated[tuple[Pooling, ...], Field(min_length=1)] = POOLINGS
    C: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """Inverse strength of the L2 penalty (scikit-learn's C) on standardised features. Fixed: the same in every layer,
    so that no layer is better only because its penalty was tuned better."""
    random_draws: int = Field(default=5, ge=1)
    """Shuffles of the labels over which the random-label control is averaged."""
    rule: LayerRule = LayerRule()
    seed: int = 0
    """Of folds, shuffled labels, intervals and the order of the prompts."""
    batch_size: int = with_default(ModelSpec, "batch_size", 16)

    @model_validator(mode="after")
    def _probes_fit(self) -> Self:
        if len(self.tasks) < 2:
            raise ValueError("tasks: name at least two, which the probes tell apart")
        if len(set(self.poolings)) != len(self.poolings):
            raise ValueError(f"poolings: one of {list(self.poolings)} is named twice")
        if self.rule.pooling not in self.poolings:
            raise ValueError(f"poolings: the rule looks at '{self.rule.pooling}', which is not among them")
        return self
