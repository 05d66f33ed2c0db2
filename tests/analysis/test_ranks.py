"""Ranks: hand-worked cases, an independent test, simulated truth."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from vsc_eval.analysis.ranks import Answered, Rank, rank_models, told_better

Bools = npt.NDArray[np.bool_]


def orbits(n_items: int, size: int = 4) -> tuple[str, ...]:
    return tuple(f"orbit-{item // size}" for item in range(n_items))


def answered(right: npt.ArrayLike, size: int = 4, scoring: str = "loglikelihood", start: int = 0) -> Answered:
    mask = np.asarray(right, dtype=bool)
    ids = tuple(f"item-{start + item}" for item in range(len(mask)))
    return Answered((scoring, ids), orbits(len(mask), size), mask)


def texts(found: Sequence[Rank]) -> list[str]:
    return [f"{rank.rank}{'=' if rank.is_shared else ''}" for rank in found]


def test_one_clear_winner_and_two_alike() -> None:
    # B and C are right on 200 of 400 items each, and differ on 200 of them with no net difference.
    best = np.ones(400, dtype=bool)
    b = np.arange(400) % 2 == 0
    found = rank_models([answered(b, 1), answered(~b, 1), answered(best, 1)])
    assert texts(found) == ["2=", "2=", "1"]
    assert [rank.n_worse for rank in found] == [0, 0, 2]


def test_the_middle_of_three_can_be_told_from_neither() -> None:
    # A wins 8 and loses 3 items against B, and so does B against C: 5 is less than 2 sqrt(11). The lost ones cancel, so
    # that A wins 10 items against C and loses none: more than 2 sqrt(10).
    kinds = {(0, 1, 0): 3, (1, 0, 1): 3, (1, 0, 0): 5, (1, 1, 0): 5, (1, 1, 1): 84}
    a, b, c = np.array([kind for kind, n in kinds.items() for _ in range(n)], dtype=bool).T
    better = told_better(np.stack([a, b, c]).astype(float), orbits(100, 1))
    assert better.tolist() == [[False, False, True], [False, False, False], [False, False, False]]
    assert texts(rank_models([answered(row, 1) for row in (a, b, c)])) == ["1=", "1=", "2"]


def test_whole_clusters_are_resampled() -> None:
    # 24 wins in 6 orbits of 4 against 8 losses in 2: clear with independent items, not with orbits.
    a, b = np.zeros(96, dtype=bool), np.zeros(96, dtype=bool)
    a[:24], b[24:32] = True, True
    assert texts(rank_models([answered(a, 1), answered(b, 1)])) == ["1", "2"]
    assert texts(rank_models([answered(a, 4), answered(b, 4)])) == ["1=", "1="]


def test_models_that_were_asked_something_else_are_not_compared() -> None:
    right, wrong = np.ones(200, dtype=bool), np.arange(200) % 2 == 0
    found = rank_models(
        [answered(right), answered(wrong), answered(wrong, scoring="generate"), answered(wrong, start=1_000)]
    )
    assert texts(found) == ["1", "2", "1", "1"]
    assert [rank.n_compared for rank in found] == [2, 2, 1, 1]


def test_one_cluster_tells_nothing() -> None:
    assert texts(rank_models([answered(np.ones(4)), answered(np.zeros(4))])) == ["1=", "1="]


def test_equal_answers_share_the_rank() -> None:
    right = np.arange(80) % 3 == 0
    assert texts(rank_models([answered(right)] * 3)) == ["1=", "1=", "1="]


@pytest.mark.parametrize(("n_clusters", "told"), [(2, False), (5, False), (6, True), (50, True)])
def test_all_against_nothing_is_told_from_six_clusters_on(n_clusters: int, told: bool) -> None:
    """Every draw says 1. Up to 1 - 0.025^(1/5) = 0.522 of 5 clusters, or 0.459 of 6, would differ, each by -1 at the
    least: 1 - 2 x 0.522 is below 0, 1 - 2 x 0.459 is not."""
    better = told_better(np.stack([np.ones(n_clusters), np.zeros(n_clusters)]), orbits(n_clusters, 1))
    assert bool(better[0, 1]) is told
    assert not better[1, 0]


def test_agrees_with_the_normal_test_of_clustered_differences() -> None:
    """Where a t-test of the clusters' sums is clear either way; both are about the same hypothesis."""
    rng = np.random.default_rng(3)
    n_clusters, size = 150, 4
    skill = rng.uniform(0.5, 0.75, size=12)
    luck = rng.normal(0, 0.15, size=n_clusters).repeat(size)
    right = rng.random((12, n_clusters * size)) < skill[:, None] + luck
    better = told_better(right.astype(float), orbits(n_clusters * size, size))
    checked = 0
    for i in range(12):
        for j in range(12):
            sums = (right[i].astype(float) - right[j]).reshape(n_clusters, size).sum(axis=1)
            p = float(stats.ttest_1samp(sums, 0).pvalue) if i != j else 1.0
            if p < 0.03 or p > 0.08:
                checked += 1
                assert better[i, j] == (p < 0.05 and sums.mean() > 0)
    assert checked > 120
    assert better.sum() > 10


def test_order_of_the_models_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    models = [answered(rng.random(160) < skill) for skill in (0.3, 0.5, 0.55, 0.6, 0.9)]
    order = rng.permutation(5)
    found, shuffled = rank_models(models), rank_models([models[i] for i in order])
    assert [found[i] for i in order] == list(shuffled)


def _simulated(rng: np.random.Generator, gain: float, n_clusters: int = 105) -> bool:
    """Whether two models with that true difference share a rank; items of one orbit are alike in hardness."""
    hardness = rng.normal(0, 0.2, size=n_clusters).repeat(4)
    right = rng.random((2, 4 * n_clusters)) < np.array([[0.6 + gain], [0.6]]) + hardness
    found = rank_models([answered(row) for row in right], seed=int(rng.integers(2**31)))
    return found[0].rank == found[1].rank


def test_two_equal_models_share_the_rank_in_about_95_percent() -> None:
    rng = np.random.default_rng(5)
    n = 500
    shared = sum(_simulated(rng, 0.0) for _ in range(n))
    # 0.001 in each tail, for a true rate of 0.93 to 0.96: a percentile interval of 105 clusters is a little short.
    low, high = stats.binom.ppf(0.001, n, 0.93), stats.binom.ppf(0.999, n, 0.96)
    assert low <= shared <= high, shared / n


def test_a_model_that_is_better_is_told_so() -> None:
    rng = np.random.default_rng(6)
    shared = sum(_simulated(rng, 0.2) for _ in range(100))
    assert shared <= 5


def test_a_hundred_models_on_the_whole_benchmark_cost_no_more_than_their_pairs() -> None:
    rng = np.random.default_rng(7)
    models = [answered(rng.random(2_100) < rng.uniform(0.3, 0.9)) for _ in range(100)]

    def seconds(n: int) -> float:
        start = time.process_time()
        assert {rank.n_compared for rank in rank_models(models[:n])} == {n}
        return time.process_time() - start

    all_, half = (min(seconds(n) for _ in range(3)) for n in (100, 50))
    assert all_ < 12 * half, f"twice the models have four times the pairs: {all_:.3f} s, {half:.3f} s"
