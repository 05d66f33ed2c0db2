"""What probing found: one row for each probe, and the layer that the rule picks from them."""

from collections.abc import Sequence
from typing import Literal, get_args

from vsc_eval.errors import SpecError
from vsc_eval.probing.spec import EMBEDDINGS, LayerRule, Pooling, ProbingSpec, Target
from vsc_eval.records import SCHEMA_VERSION, Record

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
    """One probe: learnt on the `select` split, tested on other scenes of it in held-out paraphrases.

    Accuracies are shares; None where they are undefined or were not asked for, with `reason` if it is the row's fault.
    """

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
        for row in self.rows:
            if (row.target, row.pooling, row.layer, row.control) == (target, pooling, layer, control):
                return row
        raise KeyError((target, pooling, layer, control))


def check_rule(rule: LayerRule, n_layers: int) -> None:
    """Raise SpecError if the rule cannot pick any layer of a model with `n_layers`."""
    last = n_layers - 2
    if last < 0:
        raise SpecError(
            "The model has one decoder layer: an edit at its output would have no layer above to act through.",
            hint="Use a model with at least two decoder layers.",
        )
    if rule.layer is not None and rule.layer > last:
        raise SpecError(
            f"The rule fixes layer {rule.layer}; the model has layers 0 to {n_layers - 1}, and an edit at the last one "
            "has no layer above to act through.",
            hint=f"Choose a layer from 0 to {last}.",
        )


def choose(rows: Sequence[ProbeRow], rule: LayerRule, pooling: Pooling, n_layers: int) -> Choice | None:
    """What `rule` picks at `pooling`; None if the task probe is undefined there."""
    probes = _task_probes(rows, pooling)
    scores = {at: row.selectivity if rule.kind == "selectivity" else row.test_accuracy for at, row in probes.items()}
    candidates = {layer: score for layer in range(n_layers - 1) if (score := scores[layer]) is not None}
    if not candidates:
        return None
    layer = rule.layer
    if layer is None:
        good_enough = max(candidates.values()) - (rule.tolerance or 0.0) - _EQUAL
        layer = min(layer for layer, value in candidates.items() if value >= good_enough)
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
