"""The timings do the same work on both sides, on enough items and edits. No test looks at how long anything took."""

from __future__ import annotations

import importlib.util
from collections import Counter

import pytest

from benchmarks import bootstrap, engine, items
from benchmarks.harness import bench_harness, report
from benchmarks.shared import (
    Agreement,
    Timed,
    agreement,
    bench_conditions,
    bench_items,
    bench_prompts,
    table,
    take_turns,
)
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import compile_condition
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import EditSpec, FeatureSet, InterventionSpec

INTERVENTION = InterventionSpec(
    model="m",
    layer=1,
    sae="sae",
    default_edit=EditSpec(kind="scale", value=2),
    sets=tuple(FeatureSet(name=name, indices=(i,)) for i, name in enumerate(("a", "b", "c"))),
)
INSTALLED = all(importlib.util.find_spec(name) for name in ("accelerate", "peft"))


@pytest.mark.parametrize("n_edits", [1, 3, 6, 19, 40])
def test_edits_are_all_different(n_edits: int) -> None:
    specs = bench_conditions(INTERVENTION, n_edits)
    assert len(specs) == n_edits
    assert len({(spec.sets, spec.edit) for spec in specs}) == n_edits
    assert not any(spec.is_baseline for spec in specs)


def test_items_come_from_every_cell() -> None:
    cells = Counter((item.task, item.level) for item in bench_items(4))
    assert len(cells) == 21
    assert set(cells.values()) == {4}
    with pytest.raises(SpecError, match="multiple of 4"):
        bench_items(3)


def test_one_condition_is_nothing_to_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.main(["--conditions", "1"]) == 2
    assert "at least 2" in capsys.readouterr().err


def test_ways_take_turns_after_one_untimed_turn() -> None:
    order: list[str] = []
    ways = {label: (3, lambda label=label: order.append(label) or len(order)) for label in "ab"}
    timed, results = take_turns(ways, 2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [(one.label, one.n, len(one.wall_seconds), len(one.cpu_seconds)) for one in timed] == [
        ("a", 3, 2, 2), ("b", 3, 2, 2),
    ]  # fmt: skip
    assert results == [5, 6]
    with pytest.raises(SpecError, match="at least one repeat"):
        take_turns(ways, 0)


def test_ratio_is_the_median_over_repeats_for_the_same_amount_of_work() -> None:
    ours = Timed("ours", 4, (1.0, 2.0, 4.0), (1.0, 1.0, 1.0))
    theirs = Timed("theirs", 8, (3.0, 10.0, 40.0), (1.0, 1.0, 1.0))
    assert ours.ratios(theirs) == (1.5, 2.5, 5.0)
    assert ours.ratio(theirs) == 2.5
    assert table([ours, theirs], "items")[-1].split() == ["theirs", "8", "10.000", "1.000", "0.8", "2.50x"]


def test_agreement_by_hand() -> None:
    first = [Reading(option_logprobs=(-1.0, -2.0)), Reading(option_logprobs=(-1.0, -2.0)), Reading(token_ids=(1, 2))]
    second = [Reading(option_logprobs=(-1.5, -2.0)), Reading(option_logprobs=(-3.0, -2.0)), Reading(token_ids=(1, 2))]
    assert agreement([first], [second]) == Agreement(3, 2, 2.0)
    assert agreement([first[2:]], [second[2:]]) == Agreement(1, 1, None)


def test_both_paths_of_the_engine_give_the_same_readings() -> None:
    intervention = load_intervention("vsc-tiny")
    sae, layer = intervention.sae, intervention.spec.layer
    edits = [compile_condition(spec, intervention.sets, sae, layer) for spec in bench_conditions(intervention.spec, 3)]
    result = engine.bench_engine(load_vlm("vsc-tiny"), sae, edits, bench_prompts(4)[::12], 1, batch_size=4)
    assert (result.n_conditions, result.layer, result.n_layers) == (4, layer, 6)
    assert (result.agreement.n, result.agreement.n_same) == (28, 28)
    assert result.agreement.largest_difference_nats is not None
    assert result.agreement.largest_difference_nats < 1e-5
    assert "layer counts allow" in "\n".join(result.lines())


def test_layer_count_ratio_by_hand() -> None:
    """20 conditions, 28 layers, L=20, vision as dear as two layers: 20 x 30 over 2 + 21 + 20 x 7."""
    assert engine.layer_count_ratio(20, 28, 20, 2.0, 1.0) == pytest.approx(600 / 163)


@pytest.mark.skipif(not INSTALLED, reason="lm-eval's hf-multimodal needs accelerate and peft")
def test_both_models_answer_alike() -> None:
    timed, answers = bench_harness(tasks=["vsc_logic_easy"], repeats=1, their_batch_sizes=[4], batch_size=4)
    assert len(answers[0]) == timed[0].n == 4
    assert "4 of 4 (100.0%)" in report(timed, answers)[-1]


@pytest.mark.skipif(INSTALLED, reason="only where accelerate or peft is missing")
def test_what_is_missing_is_named() -> None:
    with pytest.raises(BackendError, match="pip install accelerate"):
        bench_harness(tasks=["vsc_logic_easy"], repeats=1)


def test_small_timings_run(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--conditions", "4", "--cells", "3", "--n", "8", "--draws", "200", "--repeats", "1"]
    assert bootstrap.main(small) == 0
    assert "4 conditions x 3 cells of 8 items" in capsys.readouterr().out
    assert items.main(["--n", "4", "--repeats", "1"]) == 0
    assert "made and drawn" in capsys.readouterr().out
