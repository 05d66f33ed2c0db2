"""Probes on planted activations: what is there is found, and what is not there is not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_activations import Planted, codes, noise

from vsc_eval.probing.activations import InputKind, Sample
from vsc_eval.probing.probes import CAN_ONLY_GUESS, Floats, probe_all
from vsc_eval.probing.records import EMBEDDINGS, LayerRule, Pooling, ProbeRow, ProbingSpec, choose

SPEC = ProbingSpec(
    model="planted",
    tasks=("counting", "logic", "spatial_relation"),
    items_per_cell=20,
    test_items_per_cell=20,
    random_draws=4,
)
N_LAYERS = 4
PLANTED_AT = 2


def task_at_layer_two(
    rng: np.random.Generator, sample: Sample, kind: InputKind, layer: int, pooling: Pooling
) -> Floats | None:
    """The task in the text of layer 2, less clearly in layers 1 and 3; without its picture nothing of it."""
    if kind == "text_only" and pooling == "image":
        return None
    strength = {PLANTED_AT: 1.0, 1: 0.4, 3: 0.5}.get(layer, 0.0)
    seen = kind == "real" and pooling == "text"
    return noise(rng, sample) + strength * seen * codes([item.task for item in sample.items])


def find(rows: list[ProbeRow], target: str, pooling: str, layer: int, control: str) -> ProbeRow:
    (row,) = [r for r in rows if (r.target, r.pooling, r.layer, r.control) == (target, pooling, layer, control)]
    return row


@pytest.fixture(scope="module")
def rows() -> list[ProbeRow]:
    told: list[tuple[int, int]] = []
    found = list(
        probe_all(Planted(SPEC, task_at_layer_two), SPEC, N_LAYERS, 1e-5, lambda n, total: told.append((n, total)))
    )
    assert told == [(1, 15)] * 15
    return found


def test_there_is_one_row_for_each_probe(rows: list[ProbeRow]) -> None:
    keys = [(r.target, r.pooling, r.layer, r.control) for r in rows]
    assert len(set(keys)) == len(keys) == 2 * 3 * 5 * 4
    assert all(r.converged for r in rows)
    assert {(r.n_train, r.n_train_orbits, r.n_test, r.n_test_orbits) for r in rows} == {(180, 45, 180, 45)}


def test_the_planted_layer_is_found(rows: list[ProbeRow]) -> None:
    best = find(rows, "task", "text", PLANTED_AT, "real")
    assert best.test_accuracy is not None
    assert best.test_accuracy > 0.9
    assert best.cv_accuracy == pytest.approx(best.test_accuracy, abs=0.1)
    assert best.low is not None
    assert best.high is not None
    assert 0.8 < best.low < best.test_accuracy < best.high <= 1
    for kind in ("peak", "selectivity"):
        chosen = choose(rows, LayerRule(kind=kind), "text", N_LAYERS)
        assert chosen is not None
        assert (chosen.layer, chosen.accuracy) == (PLANTED_AT, best.test_accuracy)


def test_nothing_is_found_where_nothing_is(rows: list[ProbeRow]) -> None:
    """Elsewhere the probes guess: layers, poolings, controls and targets without the plant."""
    for row in rows:
        planted = row.target == "task" and row.pooling == "text" and row.control == "real" and row.layer in (1, 2, 3)
        if not planted and row.test_accuracy is not None:
            assert row.low is not None
            assert row.low < 1 / 3 + 0.04, row
            assert row.test_accuracy < 0.45, row


def test_random_labels_give_chance_and_selectivity_the_rest(rows: list[ProbeRow]) -> None:
    shuffled = [r for r in rows if r.control == "random_labels"]
    assert np.mean([r.test_accuracy for r in shuffled if r.test_accuracy is not None]) == pytest.approx(1 / 3, abs=0.02)
    for row in rows:
        if row.control == "real":
            random = find(rows, row.target, row.pooling, row.layer, "random_labels")
            assert row.test_accuracy is not None
            assert random.test_accuracy is not None
            assert row.selectivity == pytest.approx(row.test_accuracy - random.test_accuracy)
            assert row.selectivity_low is not None
            assert row.selectivity_high is not None
            assert row.selectivity_low < row.test_accuracy - random.test_accuracy < row.selectivity_high
        else:
            assert row.selectivity is None
            assert row.cv_accuracy is None


def test_what_is_undefined_says_why(rows: list[ProbeRow]) -> None:
    for row in rows:
        undefined = row.control == "text_only" and row.pooling == "image"
        figures = (row.test_accuracy, row.low, row.high, row.train_accuracy)
        assert all((value is None) == undefined for value in figures)
        assert row.reason == ("these prompts have no image tokens" if undefined else None)


def test_an_orbit_is_never_on_both_sides() -> None:
    """Activations that name the orbit and nothing else: a probe that had seen an orbit would know its label."""

    def orbit_only(
        rng: np.random.Generator, sample: Sample, kind: InputKind, layer: int, pooling: Pooling
    ) -> Floats | None:
        return codes(list(sample.orbits), 60) + 0.01 * noise(rng, sample, 60)

    spec = SPEC.model_copy(update={"poolings": ("text",), "C": 10.0, "random_draws": 1})
    for row in probe_all(Planted(spec, orbit_only), spec, 1, 1e-5):
        if row.control == "real":
            assert row.train_accuracy == 1
            assert row.cv_accuracy is not None
            assert row.test_accuracy is not None
            assert row.cv_accuracy < 0.55
            assert row.test_accuracy < 0.55


def test_the_rounding_of_a_constant_is_no_signal() -> None:
    """A tiny trace of the task, as padding leaves it in the activations of a blank picture, is not scaled up."""

    def rounded(
        rng: np.random.Generator, sample: Sample, kind: InputKind, layer: int, pooling: Pooling
    ) -> Floats | None:
        return np.full((len(sample.items), 24), 5.0) + 1e-7 * codes([item.task for item in sample.items])

    spec = SPEC.model_copy(update={"poolings": ("text",), "random_draws": 1})
    source = Planted(spec, rounded)
    for row in probe_all(source, spec, 1, 1e-5):
        assert row.n_constant == 24
        assert row.reason == CAN_ONLY_GUESS
        assert row.test_accuracy == pytest.approx(1 / 3)
    naive = [row for row in probe_all(source, spec, 1, 0.0) if (row.target, row.control) == ("task", "real")]
    assert [row.test_accuracy for row in naive] == [1.0, 1.0]


def test_the_same_spec_gives_the_same_rows_and_another_seed_others(rows: list[ProbeRow]) -> None:
    spec = SPEC.model_copy(update={"poolings": ("text",)})
    again = list(probe_all(Planted(spec, task_at_layer_two), spec, N_LAYERS, 1e-5))
    assert again == [row for row in rows if row.pooling == "text"]
    other = spec.model_copy(update={"seed": 1})
    assert list(probe_all(Planted(other, task_at_layer_two), other, N_LAYERS, 1e-5)) != again


def test_train_and_test_share_neither_orbit_nor_wording() -> None:
    samples = Planted(SPEC, task_at_layer_two).samples
    train, test = samples["train"], samples["test"]
    assert not {i.orbit_id.removesuffix("~heldout") for i in test.items} & {i.orbit_id for i in train.items}
    assert not {i.template_id for i in test.items} & {i.template_id for i in train.items}
    assert {i.split for i in train.items} == {"select"}
    # A layer chosen on scenes of the `test` split would have seen what its edits are judged on.
    assert {(i.split, i.paraphrase) for i in test.items} == {("select", "heldout")}
    assert not {i.pixel_hash for i in test.items} & {i.pixel_hash for i in train.items}
    assert (len(train.items), len(test.items)) == tuple(
        len(SPEC.tasks) * 3 * n for n in (SPEC.items_per_cell, SPEC.test_items_per_cell)
    )
    assert min(r.layer for r in probe_all(Planted(SPEC, task_at_layer_two), SPEC, 1, 1e-5)) == EMBEDDINGS
