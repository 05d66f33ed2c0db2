"""Overlap of sets by hand; stability against the selection itself on items written out as often as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from selecting import select_features

from vsc_eval.errors import SpecError
from vsc_eval.interventions.harvest import Harvest, PooledActivations
from vsc_eval.interventions.scores import SCORES
from vsc_eval.interventions.select import ScoreTable, SelectionRule, score_table, score_tables
from vsc_eval.interventions.similarity import decoder_cosine, jaccard, orbit_weights, set_overlap, set_stability
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.quality import Firing
from vsc_eval.specs import FeatureSet

TASKS = ("logic", "counting", "existence")


def harvest(n_features: int = 300, orbits_per_task: int = 6, signal: float = 0.6, seed: int = 0) -> Harvest:
    """Values on a coarse grid, so that ties abound; three features for each task that know it."""
    rng = np.random.default_rng(seed)
    tasks = tuple(task for task in TASKS for _ in range(4 * orbits_per_task))
    values = np.maximum(rng.integers(-3, 4, (len(tasks), n_features)), 0) / 4
    for place, task in enumerate(TASKS):
        values[np.array(tasks) == task, 3 * place : 3 * place + 3] += signal
    tensor = torch.tensor(values, dtype=torch.float32)
    firing = Firing((tensor > 0).float().mean(0), torch.ones(n_features))
    orbits = tuple(f"{task}/{i // 4}" for i, task in enumerate(tasks))
    pooled = PooledActivations(tensor, tensor > 0)
    return Harvest(pooled=pooled, firing=firing, item_ids=orbits, tasks=tasks, orbits=orbits, origin={})


def resampled_tables(source: Harvest, rule: SelectionRule, weights: NDArray[np.int64]) -> list[ScoreTable]:
    return score_tables(source.pooled, source.tasks, TASKS, rule, weights)


@pytest.mark.parametrize("score", SCORES.names())
def test_weights_are_items_written_out(score: str) -> None:
    source, rule = harvest(), SelectionRule(score=score, m=5, min_frequency=0.3)
    weights = np.stack([orbit_weights(source, seed=0, draw=draw) for draw in range(4)])
    for times, table in zip(weights, resampled_tables(source, rule, weights), strict=True):
        rows = np.repeat(np.arange(len(times)), times)
        pooled = PooledActivations(source.pooled.values[rows], source.pooled.fired[rows])
        expected = score_table(pooled, [source.tasks[i] for i in rows], rule, tasks=TASKS)
        assert table.tasks == expected.tasks
        assert table.n_task_items == expected.n_task_items
        np.testing.assert_array_equal(table.scores, expected.scores)
        np.testing.assert_array_equal(table.eligible, expected.eligible)


def test_orbits_are_drawn_whole_and_within_their_task() -> None:
    source = harvest()
    draws = np.stack([orbit_weights(source, seed=0, draw=draw) for draw in range(200)])
    assert np.array_equal(draws, np.repeat(draws[:, ::4], 4, axis=1))
    for task in TASKS:
        assert (draws[:, np.array(source.tasks) == task].sum(1) == 24).all()
    # The bootstrap leaves out (1 - 1/6)^6 of six.
    assert (draws[:, ::4] == 0).mean() == pytest.approx((5 / 6) ** 6, abs=0.03)
    assert not np.array_equal(draws[0], orbit_weights(source, seed=1, draw=0))


def test_features_that_know_the_task_are_stable_and_noise_is_not() -> None:
    source, rule = harvest(signal=3.0), SelectionRule(m=6, min_frequency=0.0)
    sets = select_features(source.pooled, source.tasks, rule)
    told: list[int] = []
    result = set_stability(sets, source, rule, draws=20, seed=0, progress=told.append)
    assert sum(told) == 300
    assert result == set_stability(sets, source, rule, draws=20, seed=0)
    assert result != set_stability(sets, source, rule, draws=20, seed=1)
    for s, full in zip(result.sets, sets, strict=True):
        assert s.name == full.name
        assert s.selection_frequency[:3] == (1.0, 1.0, 1.0)
        assert np.mean(s.selection_frequency[3:]) < 0.9
        assert 3 / 9 <= s.jaccard_low <= s.jaccard_median <= s.jaccard_high <= 1
        assert 3 / 9 <= s.jaccard_mean < 1
        assert s.n_short == 0


def test_samples_with_too_few_features_are_counted() -> None:
    source = harvest(n_features=9)
    rule = SelectionRule(m=3, min_frequency=0.9)
    sets = select_features(source.pooled, source.tasks, rule)
    source.pooled.fired[:, 0] = torch.arange(len(source.tasks)) % 24 < 22
    result = set_stability(sets, source, rule, draws=50, seed=0)
    assert 0 < result.sets[0].n_short < 50
    assert result.sets[1].n_short == 0
    assert result.sets[0].selection_frequency[sets[0].indices.index(0)] == 1 - result.sets[0].n_short / 50


def test_sets_of_other_tasks_are_refused() -> None:
    source, rule = harvest(), SelectionRule(m=3)
    sets = select_features(source.pooled, source.tasks, rule)
    with pytest.raises(SpecError, match="The sets are of the tasks"):
        set_stability(sets[:2], source, rule, draws=2, seed=0)


def test_overlap_by_hand() -> None:
    assert jaccard((1, 2, 3), (3, 4)) == 1 / 4
    unit = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
    # Feature 0 is nearest to 2 (0.6), 1 to 2 (0.8); 2 to 1 (0.8), 3 to 1 (0).
    assert decoder_cosine(unit, (0, 1), (2, 3)) == pytest.approx((0.6 + 0.8 + 0.8 + 0.0) / 4)
    assert decoder_cosine(unit, (0, 3), (3, 0)) == 1.0
    sae = SAE(SAEConfig(d_in=2, d_sae=4, k=1)).requires_grad_(False)
    sae.W_dec.copy_(unit * torch.tensor([[2.0], [1.0], [3.0], [2.0]]))
    firing = Firing(torch.tensor([0.5, 0.5, 1.0, 0.5]), torch.tensor([2.0, 4.0, 1.0, 2.0]))
    sets = tuple(FeatureSet(name=n, indices=i) for n, i in (("a", (0, 1)), ("b", (1, 2)), ("none", (0, 3))))
    overlap = set_overlap(sets, sae, firing)
    assert overlap.names == ("a", "b", "none")
    assert overlap.jaccard[0] == pytest.approx((1, 1 / 3, 1 / 3))
    # a: 1 * (2, 0) + 2 * (0, 1) = (2, 2); b: 2 * (0, 1) + 1 * (1.8, 2.4) = (1.8, 4.4); none: (2, 0) + (-2, 0) = 0.
    expected = (2 * 1.8 + 2 * 4.4) / (8**0.5 * (1.8**2 + 4.4**2) ** 0.5)
    assert overlap.mean_delta_cosine[0] == pytest.approx((1.0, expected, None))
    assert overlap.mean_delta_cosine[2] == (None, None, None)
    matrix = np.array(overlap.decoder_cosine)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(np.diag(matrix), 1.0)


def test_the_random_reference_is_between_chance_and_one() -> None:
    sae = SAE(SAEConfig(d_in=16, d_sae=100, k=1)).requires_grad_(False)
    sae.W_dec.copy_(torch.randn(100, 16, generator=torch.Generator().manual_seed(0)))
    sets = (FeatureSet(name="a", indices=tuple(range(10))), FeatureSet(name="b", indices=tuple(range(10, 20))))
    alive = Firing(torch.ones(100), torch.ones(100))
    overlap = set_overlap(sets, sae, alive)
    assert overlap.decoder_cosine_random == pytest.approx(overlap.decoder_cosine[0][1], abs=0.1)
    few = Firing((torch.arange(100) < 19).float(), torch.ones(100))
    assert set_overlap(sets, sae, few).decoder_cosine_random is None
