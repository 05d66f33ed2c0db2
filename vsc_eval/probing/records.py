"""What `vsc-eval probe` is asked for, what it found, and the layer that the rule picks from that."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from vsc_eval.errors import SpecError
from vsc_eval.records import SCHEMA_VERSION, Record
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


RESULT_FILE = "probing.json"

Control = Literal["real", "blank_image", "text_only", "random_labels"]
"""The probe itself, and what it is compared with: a plain grey picture, no picture, shuffled labels."""
CONTROLS: tuple[Control, ...] = get_args(Control)

CONTROL_WORDS = {
    "real": "picture and text",
    "blank_image": "grey picture",
    "text_only": "text alone",
    "random_labels": "random labels",
}
POOLING_WORDS = {"last": "last token", "image": "image tokens (mean)", "text": "text tokens (mean)"}
"""What tables and figures call them."""

# Accuracies are shares of a few hundred items; two that differ by less are the same number of items.
_EQUAL = 1e-9


class ProbeRow(Record):
    """One probe: learnt on the `select` split, tested on other scenes of it in held-out paraphrases. Accuracies are
    shares; None where they are undefined or were not asked for, with `reason` if it is the row's fault."""

    target: Target
    pooling: Pooling
    layer: int
    """Decoder layer whose output is probed; -1: the embeddings, which are what decoder layer 0 gets."""
    control: Control
    n_train: int
    n_test: int
    """Items."""
    n_train_orbits: int
    n_test_orbits: int
    train_accuracy: float | None
    """On what the probe learnt from. For random labels: how much it can learn by heart."""
    cv_accuracy: float | None
    """Cross-validated by orbit on the training items; for real labels only."""
    test_accuracy: float | None
    """For random labels the mean over the shuffles."""
    low: float | None
    high: float | None
    """Percentile cluster bootstrap of the test accuracy, by orbit."""
    selectivity: float | None = None
    """Test accuracy less that with random labels; on `real` rows."""
    selectivity_low: float | None = None
    selectivity_high: float | None = None
    n_constant: int = 0
    """Features left out because they are the same for all training items."""
    converged: bool = True
    """False if any of the row's fits stopped before its optimum; the figures are then not to be trusted."""
    reason: str | None = None
    """Why a figure is undefined, or why the probe can only guess."""


class Choice(Record):
    """The layer that the rule picks at one pooling."""

    pooling: Pooling
    layer: int
    accuracy: float
    """Held-out accuracy of the task probe there."""


class ProbingResult(Record):
    """`probing.json`."""

    schema_version: int = SCHEMA_VERSION
    spec: ProbingSpec
    model_fingerprint: str
    generator_version: str
    n_layers: int
    d_model: int
    layer: int
    """The chosen decoder layer, from 0."""
    chosen_by: str
    """The rule and what it saw, in words."""
    choices: tuple[Choice, ...]
    """What the same rule picks at each pooling; empty for a fixed layer."""
    chance: dict[Target, float]
    """Accuracy of guessing."""
    interval: str
    """How the intervals were made."""
    rows: tuple[ProbeRow, ...]

    def row(self, target: Target, pooling: Pooling, layer: int, control: Control = "real") -> ProbeRow:
        """The one row of that probe. Raises KeyError if that pooling was not probed."""
        rows = {(row.target, row.pooling, row.layer, row.control): row for row in self.rows}
        return rows[target, pooling, layer, control]


def check_rule(rule: LayerRule, n_layers: int) -> None:
    """Raise SpecError if the rule cannot pick any layer of a model with `n_layers`."""
    if n_layers < 2:
        raise SpecError(
            "The model has one decoder layer: an edit at its output would have no layer above to act through.",
            hint="Use a model with at least two decoder layers.",
        )
    if rule.layer is not None and rule.layer > n_layers - 2:
        raise SpecError(
            f"The rule fixes layer {rule.layer}; the model has layers 0 to {n_layers - 1}, and an edit at the last one "
            "has no layer above to act through.",
            hint=f"Choose a layer from 0 to {n_layers - 2}.",
        )


def choose(rows: Sequence[ProbeRow], rule: LayerRule, pooling: Pooling, n_layers: int) -> Choice | None:
    """What `rule` picks at `pooling`; None if the task probe is undefined there."""
    probes = _task_probes(rows, pooling)
    scores = {at: row.selectivity if rule.kind == "selectivity" else row.test_accuracy for at, row in probes.items()}
    candidates = {layer: score for layer in range(n_layers - 1) if (score := scores[layer]) is not None}
    if not candidates:
        return None
    good_enough = max(candidates.values()) - (rule.tolerance or 0.0) - _EQUAL
    best = min(layer for layer, value in candidates.items() if value >= good_enough)
    layer = best if rule.layer is None else rule.layer
    reached = probes[layer].test_accuracy
    assert reached is not None
    return Choice(pooling=pooling, layer=layer, accuracy=reached)


def explain_choice(rows: Sequence[ProbeRow], rule: LayerRule, choice: Choice, n_layers: int) -> str:
    """The rule and what it saw, in one or two sentences."""
    probes = _task_probes(rows, choice.pooling)
    chosen, embeddings = probes[choice.layer], probes[EMBEDDINGS]
    interval = "" if chosen.low is None or chosen.high is None else f", 95% CI {chosen.low:.3f} to {chosen.high:.3f}"
    text = (
        f"layer {choice.layer}: {rule.in_words()}, among layers 0 to {n_layers - 2} (above the last layer there is "
        f"none for an edit to act through); accuracy {choice.accuracy:.3f}{interval}"
    )
    if embeddings.test_accuracy is not None:
        text += f"; the embeddings alone reach {embeddings.test_accuracy:.3f}"
    return text + "."


def _task_probes(rows: Sequence[ProbeRow], pooling: Pooling) -> dict[int, ProbeRow]:
    return {row.layer: row for row in rows if (row.target, row.pooling, row.control) == ("task", pooling, "real")}
