"""Control sets: matched random ones and those of permuted labels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from selecting import select_features

from vsc_eval.errors import DataError
from vsc_eval.interventions.controls import matched_random_sets, permuted_label_sets, permuted_labels
from vsc_eval.interventions.harvest import Harvest, PooledActivations
from vsc_eval.interventions.select import SelectionRule, TooFewFeaturesError
from vsc_eval.sae.quality import Firing
from vsc_eval.specs import FeatureSet

TASKS = ("logic", "counting", "existence")
RULE = SelectionRule(m=4, min_frequency=0.0)


def harvest(n_features: int = 120, orbits_per_task: int = 10, seed: int = 0, **origin: Any) -> Harvest:
    """Orbits of four items; features of very unlike frequency and strength, ten for each task that know it."""
    rng = np.random.default_rng(seed)
    tasks = [task for task in TASKS for _ in range(4 * orbits_per_task)]
    frequency = 10 ** rng.uniform(-3, -0.5, n_features)
    strength = 10 ** rng.uniform(0, 2, n_features)
    values = rng.random((len(tasks), n_features)) * frequency * strength
    for place, task in enumerate(TASKS):
        values[np.array(tasks) == task, 10 * place : 10 * place + 10] *= 3
    tensor = torch.tensor(values, dtype=torch.float32)
    return Harvest(
        pooled=PooledActivations(tensor, tensor > 0),
        firing=Firing(torch.tensor(frequency, dtype=torch.float32), torch.tensor(strength, dtype=torch.float32)),
        item_ids=tuple(f"item{i}" for i in range(len(tasks))),
        tasks=tuple(tasks),
        orbits=tuple(f"{task}/{i // 4}" for i, task in enumerate(tasks)),
        origin=origin,
    )


def real_sets(of: Harvest) -> tuple[FeatureSet, ...]:
    return select_features(of.pooled, of.tasks, RULE, provenance=of.origin)


@given(draw=st.integers(0, 200))
def test_random_sets_are_of_the_real_ones_make(draw: int) -> None:
    source = harvest()
    real = real_sets(source)
    drawn = matched_random_sets(real, source, seed=0, draw=draw)
    assert [s.name for s in drawn] == [f"{s.name}.random.{draw:02d}" for s in real]
    assert [s.task for s in drawn] == [s.task for s in real]
    assert [len(s.indices) for s in drawn] == [len(s.indices) for s in real]
    used = [i for s in drawn for i in s.indices]
    assert len(set(used)) == len(used)
    assert not set(used) & {i for s in real for i in s.indices}


def test_draws_are_reproducible_and_differ() -> None:
    source = harvest()
    real = real_sets(source)
    drawn = [matched_random_sets(real, source, seed=0, draw=draw) for draw in range(20)]
    assert drawn[7] == matched_random_sets(real, source, seed=0, draw=7)
    assert drawn[7] != matched_random_sets(real, source, seed=1, draw=7)
    assert len({tuple(s.indices for s in sets) for sets in drawn}) == 20


def test_the_match_is_as_good_as_it_says_and_better_than_chance() -> None:
    source = harvest(n_features=1000)
    real = real_sets(source)
    frequency, strength = (np.log(t.numpy()) for t in (source.firing.frequency, source.firing.strength))
    for drawn in matched_random_sets(real, source, seed=0, draw=3):
        stands_for = next(s for s in real if s.task == drawn.task)
        for what, logs in (("frequency", frequency), ("strength", strength)):
            ratio = logs[list(drawn.indices)] - logs[list(stands_for.indices)]
            assert np.abs(ratio).max() <= np.log(1.5) + 1e-6
            assert drawn.provenance[f"match_log_ratio_{what}"] == pytest.approx(np.abs(ratio).mean(), abs=1e-6)
            assert drawn.provenance[f"match_bias_{what}"] == pytest.approx(ratio.mean(), abs=1e-6)
        assert drawn.provenance["match_n_outside_tolerance"] == 0


def test_a_poor_pool_widens_the_match_and_says_so() -> None:
    source = harvest(n_features=30)
    drawn = matched_random_sets(real_sets(source), source, seed=0, draw=0)
    outside = [s.provenance["match_n_outside_tolerance"] for s in drawn]
    assert sum(int(n) for n in outside if n is not None) > 0
    frequency = source.firing.frequency.numpy()
    # With one candidate at a time the nearest is taken, so wider choices cannot match better.
    nearest = matched_random_sets(real_sets(source), source, seed=0, draw=0, tolerance=1.0001, at_least=1)
    assert len({i for s in nearest for i in s.indices}) == 12
    assert (frequency[[i for s in nearest for i in s.indices]] > 0).all()


def test_features_shared_by_two_sets_stay_shared() -> None:
    source = harvest()
    real = (FeatureSet(name="a", indices=(1, 2, 3), task="logic"), FeatureSet(name="b", indices=(3, 4)))
    a, b = matched_random_sets(real, source, seed=0, draw=0)
    assert a.indices[2] == b.indices[0]
    assert len({*a.indices, *b.indices}) == 4
    assert (a.task, b.task) == ("logic", None)


def test_what_cannot_be_matched_is_refused() -> None:
    source = harvest(n_features=20)
    with pytest.raises(DataError, match="Only 9 features that fire are in no set, and 11 are to be replaced"):
        matched_random_sets((FeatureSet(name="a", indices=tuple(range(11))),), source, seed=0, draw=0)
    source.firing.frequency[5] = 0.0
    with pytest.raises(DataError, match=r"Selected features \[5\] never fire"):
        matched_random_sets((FeatureSet(name="a", indices=(5, 6)),), source, seed=0, draw=0)
    with pytest.raises(DataError, match="holds feature 20; the harvest has 20"):
        matched_random_sets((FeatureSet(name="a", indices=(5, 20)),), source, seed=0, draw=0)
    stale = FeatureSet(name="a", indices=(1,), provenance={"sae_fingerprint": "old"})
    with pytest.raises(DataError, match="Set 'a' was selected with SAE old, but the harvest is of new"):
        matched_random_sets((stale,), harvest(sae_fingerprint="new"), seed=0, draw=0)


@given(draw=st.integers(0, 100))
def test_labels_move_by_whole_orbits(draw: int) -> None:
    source = harvest(orbits_per_task=5)
    labels = permuted_labels(source, seed=0, draw=draw)
    assert Counter(labels) == Counter(source.tasks)
    assert all(len(set(labels[i : i + 4])) == 1 for i in range(0, len(labels), 4))
    assert labels != source.tasks
    assert labels != permuted_labels(source, seed=1, draw=draw)


def test_permuted_sets_are_selected_by_the_same_rule_on_other_labels() -> None:
    source = harvest(sae_fingerprint="x")
    real = real_sets(source)
    assert min(s.scores[-1] for s in real) > 0.8
    permuted = permuted_label_sets(source, RULE, seed=0, draw=3)
    assert permuted == permuted_label_sets(source, RULE, seed=0, draw=3)
    assert [(s.name, s.task) for s in permuted] == [(f"{task}.permuted.03", task) for task in TASKS]
    assert max(s.scores[0] for s in permuted) < 0.8
    expected = select_features(source.pooled, permuted_labels(source, seed=0, draw=3), RULE)
    assert {s.task: s.indices for s in permuted} == {s.task: s.indices for s in expected}
    assert permuted[0].provenance["control"] == "permuted_labels"
    assert permuted[0].provenance["sae_fingerprint"] == "x"
    assert permuted[0].provenance["rule_m"] == 4


def test_a_draw_without_enough_features_is_an_error_of_its_own() -> None:
    with pytest.raises(
        TooFewFeaturesError, match=r"Only \d+ features are eligible for '\w+', and the rule asks for 40"
    ):
        permuted_label_sets(harvest(), SelectionRule(m=40, min_frequency=0.0), seed=0, draw=0)


def test_an_orbit_of_two_tasks_is_refused() -> None:
    source = harvest()
    with pytest.raises(DataError, match="An orbit holds items of two tasks"):
        Harvest.model_validate({**dict(source), "orbits": ("same",) * len(source.tasks)})
