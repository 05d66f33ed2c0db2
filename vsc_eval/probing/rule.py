"""The rule that picks the layer, as a function of the rows."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.errors import SpecError
from vsc_eval.probing.result import Choice, ProbeRow
from vsc_eval.probing.spec import EMBEDDINGS, LayerRule, Pooling

# Accuracies are shares of a few hundred items; two that differ by less are the same number of items.
_EQUAL = 1e-9


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
    probes = {row.layer: row for row in rows if (row.target, row.pooling, row.control) == ("task", pooling, "real")}
    accuracy = {layer: row.test_accuracy for layer, row in probes.items()}
    score = {layer: row.selectivity for layer, row in probes.items()} if rule.kind == "selectivity" else accuracy
    candidates = {layer: value for layer in range(n_layers - 1) if (value := score[layer]) is not None}
    if not candidates:
        return None
    if rule.layer is not None:
        layer = rule.layer
    else:
        good_enough = max(candidates.values()) - (rule.tolerance or 0.0) - _EQUAL
        layer = min(layer for layer, value in candidates.items() if value >= good_enough)
    reached = accuracy[layer]
    assert reached is not None
    return Choice(pooling=pooling, layer=layer, accuracy=reached)


def explain_choice(rows: Sequence[ProbeRow], rule: LayerRule, choice: Choice, n_layers: int) -> str:
    """The rule and what it saw, in one or two sentences."""
    probes = {
        row.layer: row for row in rows if (row.target, row.pooling, row.control) == ("task", choice.pooling, "real")
    }
    chosen, embeddings = probes[choice.layer], probes[EMBEDDINGS]
    interval = "" if chosen.low is None or chosen.high is None else f", 95% CI {chosen.low:.3f} to {chosen.high:.3f}"
    text = (
        f"layer {choice.layer}: {rule.in_words()}, among layers 0 to {n_layers - 2} (above the last layer there is "
        f"none for an edit to act through); accuracy {choice.accuracy:.3f}{interval}"
    )
    if embeddings.test_accuracy is not None:
        text += f"; the embeddings alone reach {embeddings.test_accuracy:.3f}"
    return text + "."
