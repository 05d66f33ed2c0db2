"""Small formulas: divergence, floor, combined and norm-matched edits, limits of nothing seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import softmax

from vsc_eval.stats.bootstrap import zero_count_limit
from vsc_eval.stats.drift import (
    PARTS,
    additive,
    amplification,
    bliss,
    change_parts,
    kl_options,
    noise_floor,
    over_larger,
    over_mean,
    under_smaller,
)
from vsc_eval.stats.significance import extreme_p

logits = st.lists(st.floats(-20, 20), min_size=4, max_size=4)


@settings(deadline=None)
@given(logits, logits)
def test_kl_agrees_with_scipy(base: list[float], cond: list[float]) -> None:
    expected = scipy_stats.entropy(softmax(base), softmax(cond))
    assert kl_options([base], [cond])[0] == pytest.approx(expected, abs=1e-9)
    # Log-probabilities of a larger vocabulary: renormalising takes the common shift out.
    assert kl_options([np.array(base) - 3], [cond])[0] == pytest.approx(expected, abs=1e-9)


def test_kl_at_probability_zero() -> None:
    base, cond = [0.0, -np.inf], [np.log(0.5), np.log(0.5)]
    assert kl_options([base], [cond])[0] == pytest.approx(np.log(2))
    assert kl_options([cond], [base])[0] == np.inf
    assert kl_options([base], [base])[0] == 0


def test_amplification_and_floor() -> None:
    assert amplification(0.3, 0.1) == pytest.approx(3)
    assert amplification(0.3, 0.0) is None
    assert amplification(None, 0.1) is None
    assert noise_floor([[0, 0, 1, 0], [0, 0, 0, 0]]) == 0.25
    assert noise_floor(np.zeros((0, 4))) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500))
def test_limit_of_nothing_seen_agrees_with_scipy(n: int) -> None:
    expected = scipy_stats.binomtest(0, n).proportion_ci(0.95, method="exact").high
    assert zero_count_limit(n) == pytest.approx(expected)
    assert zero_count_limit(0) is None


def test_interaction_formulas_by_hand() -> None:
    a, b, union = (np.array([x]) for x in (0.2, 0.3, 0.6))
    assert additive(a, b, union) == pytest.approx(0.1)
    assert bliss(a, b, union) == pytest.approx(0.6 - 0.44)
    assert over_mean(a, b, union) == pytest.approx(0.35)
    assert over_larger(a, b, union) == pytest.approx(0.3)
    assert under_smaller(-a, -b, -union) == pytest.approx(-0.3)


def test_extreme_p_by_hand() -> None:
    assert extreme_p(0.01, 0.2, 0.3, 0.1, beyond=1) == 0.2  # beyond both: the weaker evidence
    assert extreme_p(0.01, 0.2, -0.3, -0.1, beyond=-1) == 0.2
    assert extreme_p(0.01, 0.2, -0.3, 0.1, beyond=1) == 0.02  # short of one: that one, twice for two tries
    assert extreme_p(0.9, 0.8, -0.3, -0.1, beyond=1) == 1
    assert extreme_p(0.5, 0.5, 0.0, 0.0, beyond=1) == 1
    assert extreme_p(None, 0.5, 1, 1, beyond=1) is None
    with pytest.raises(ValueError, match="1 or -1"):
        extreme_p(0.1, 0.1, 1, 1, beyond=0)


def test_parts_of_drift_in_another_code() -> None:
    rng = np.random.default_rng(0)
    base, cond, gold = rng.integers(-1, 4, 60), rng.integers(-1, 4, (3, 60)), rng.integers(0, 4, 60)
    letters = np.array(["A", "B", "C", "D", "invalid"])
    many = change_parts(base, cond, gold, -1)
    for row in range(3):
        one = change_parts(letters[base], letters[cond[row]], letters[gold], "invalid")
        assert all((many[part][row] == one[part]).all() for part in PARTS)
