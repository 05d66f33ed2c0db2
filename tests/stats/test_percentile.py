"""Percentiles and p of controls by hand, against scipy, and their promise for exchangeable effects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vsc_eval.stats.significance import control_p, control_percentile, family_p, left_out_scores

effects = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


def test_percentile_and_p_by_hand() -> None:
    draws = [0.0, 0.1, 0.2, 0.2]
    assert control_percentile(0.2, draws) == 75  # two below, two equal
    assert control_p(0.2, draws) == 3 / 5
    assert control_percentile(0.3, draws) == 100
    assert control_p(0.3, draws) == 1 / 5
    assert control_p(0.1 + 0.1, [0.2]) == 1  # equal but for rounding
    assert control_percentile(1, []) is None
    assert control_p(1, []) is None


@settings(deadline=None)
@given(st.integers(-5, 5), effects)
def test_percentile_agrees_with_scipy(value: int, draws: list[int]) -> None:
    assert control_percentile(value, draws) == pytest.approx(scipy_stats.percentileofscore(draws, value, kind="mean"))


def test_scores_by_hand() -> None:
    table = np.array([[4.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 6.0]])
    others = table[1:]
    variance = others.var(axis=0, ddof=1)
    expected = (table[0] - others.mean(axis=0)) / np.sqrt((variance + variance.mean()) / 2)
    assert left_out_scores(table)[0] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 8), st.integers(1, 5))
def test_rows_are_treated_alike(seed: int, rows: int, k: int) -> None:
    """Scores follow their rows when rows change places: without that the family-wise p would not be exact."""
    rng = np.random.default_rng(seed)
    table, order = rng.integers(-3, 4, size=(rows, k)) / 8, rng.permutation(rows)
    assert left_out_scores(table[order]) == pytest.approx(left_out_scores(table)[order])


def test_effects_that_never_vary() -> None:
    assert (left_out_scores(np.full((4, 2), 0.3)) == 0).all()
    one_off = np.zeros((4, 1))
    one_off[0] = 0.5
    assert left_out_scores(one_off)[0, 0] == np.inf
    assert family_p(left_out_scores(one_off)) == [1 / 4]
    assert family_p(left_out_scores(np.zeros((4, 2)))).tolist() == [1, 1]
    with pytest.raises(ValueError, match="three rows"):
        left_out_scores(np.zeros((2, 2)))


def test_family_p_by_hand() -> None:
    scores = [[3.0, 1.0], [0.0, 2.0], [1.0, 0.5], [3.5, 0.0]]
    assert family_p(scores).tolist() == [2 / 4, 4 / 4]


def test_family_p_keeps_its_level_whatever_the_distribution() -> None:
    """Skewed effects of very different spread, the real row drawn as all others: P(any p <= 1/20) = 1/20."""
    rng, false = np.random.default_rng(0), 0
    for _ in range(1500):
        table = rng.exponential(size=(20, 1)) * rng.lognormal(0, 1, size=(20, 6)) * [1, 1, 1, 5, 5, 20]
        false += bool((family_p(left_out_scores(table)) <= 1 / 20).any())
    assert scipy_stats.binomtest(false, 1500, 0.05).pvalue > 0.001


def test_a_spread_of_few_draws_is_not_taken_at_its_word() -> None:
    """One pair's draws happen to be almost alike: its effect must not beat a far larger one elsewhere."""
    rng = np.random.default_rng(1)
    table = rng.normal(0, 0.02, size=(21, 5))
    table[:, 0] = rng.normal(0, 0.0005, size=21)
    table[0, 0], table[0, 1] = 0.005, 0.12
    scores = left_out_scores(table)
    assert scores[0, 1] > scores[0, 0]
