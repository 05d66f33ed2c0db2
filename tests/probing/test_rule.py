"""The rule on rows made by hand, and what a spec may not say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from vsc_eval.errors import SpecError
from vsc_eval.probing.records import LayerRule, Pooling, ProbeRow, ProbingSpec, check_rule, choose, explain_choice

# Layers:             emb   0     1     2     3     4 (the last)
ACCURACY = (0.99, 0.50, 0.79, 0.80, 0.80, 0.95)
SELECTIVITY = (0.90, 0.30, 0.62, 0.60, 0.55, 0.80)


def rows(accuracy: tuple[float | None, ...] = ACCURACY, pooling: Pooling = "text") -> list[ProbeRow]:
    return [
        ProbeRow(
            target="task", pooling=pooling, layer=place - 1, control="real", n_train=8, n_test=8, n_train_orbits=2,
            n_test_orbits=2, train_accuracy=1.0, cv_accuracy=0.0, test_accuracy=value, low=0.25, high=0.75,
            selectivity=selectivity,
        )
        for place, (value, selectivity) in enumerate(zip(accuracy, SELECTIVITY, strict=True))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "layer"),
    [
        (LayerRule(), 2),  # 2 and 3 are equal; the last layer and the embeddings are better but no candidates
        (LayerRule(kind="earliest", tolerance=0.0), 2),
        (LayerRule(kind="earliest", tolerance=0.01), 1),
        (LayerRule(kind="earliest", tolerance=0.30), 0),
        (LayerRule(kind="selectivity"), 1),
        (LayerRule(kind="fixed", layer=3), 3),
    ],
    ids=lambda value: value.kind if isinstance(value, LayerRule) else "",
)
def test_each_rule_by_hand(rule: LayerRule, layer: int) -> None:
    choice = choose(rows(), rule, "text", 5)
    assert choice is not None
    assert choice.layer == layer
    assert choice.accuracy == ACCURACY[layer + 1]
    words = explain_choice(rows(), rule, choice, 5)
    assert words.startswith(f"layer {layer}: {rule.in_words()}")
    assert "among layers 0 to 3" in words
    assert f"{ACCURACY[layer + 1]:.3f}, 95% CI 0.250 to 0.750" in words
    assert "the embeddings alone reach 0.990" in words


def test_no_layer_where_nothing_is_defined() -> None:
    assert choose(rows((None,) * 6), LayerRule(), "text", 5) is None


def test_the_last_layer_cannot_be_chosen() -> None:
    check_rule(LayerRule(kind="fixed", layer=3), 5)
    for layer in (4, 5):
        with pytest.raises(SpecError, match=r"no layer above .* Choose a layer from 0 to 3"):
            check_rule(LayerRule(kind="fixed", layer=layer), 5)
    with pytest.raises(SpecError, match="one decoder layer"):
        check_rule(LayerRule(), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("counting",)}, "tasks: name at least two"),
        ({"tasks": ("counting", "counting")}, "each only once"),
        ({"tasks": ("counting", "countin")}, "unknown task 'countin'"),
        ({"items_per_cell": 6}, "multiple of 4"),
        ({"test_items_per_cell": 0}, "no positive multiple of 4"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"C": 0.0}, "greater than 0"),
        ({"poolings": ("last",)}, "poolings: the rule looks at 'text', which is not among them"),
        ({"rule": {"kind": "fixed"}}, "needs `layer`"),
        ({"rule": {"kind": "earliest"}}, "needs `tolerance`"),
        ({"rule": {"kind": "peak", "layer": 2}}, "`layer` belongs to the rule `fixed`"),
        ({"layers": 3}, "Extra inputs"),
    ],
)
def test_what_a_spec_may_not_say(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProbingSpec(**{"model": "vsc-tiny", **changes})


def test_a_spec_survives_json() -> None:
    spec = ProbingSpec(model="vsc-tiny", rule=LayerRule(kind="earliest", tolerance=0.05, pooling="last"))
    assert ProbingSpec.model_validate_json(spec.model_dump_json()) == spec


def test_spec_and_records_load_nothing_heavy() -> None:
    code = (
        "import sys; from vsc_eval.probing.records import ProbingSpec, ProbingResult, ProbeRow\n"
        "import vsc_eval.cli.sae\n"
        "print(*[n for n in ('torch', 'transformers', 'sklearn', 'matplotlib') if n in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []
