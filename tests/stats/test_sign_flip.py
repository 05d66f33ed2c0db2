"""The sign-flip test against scipy's permutation test, enumeration by hand, and its promise under the null."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vsc_eval.stats import stream
from vsc_eval.stats.significance import sign_flip


def test_exact_p_by_hand() -> None:
    # Sums 1, 2, 3: of 8 patterns only +++ and --- reach 6. Sums 1, 2, -3: |sum| = 0, which every pattern reaches.
    found = sign_flip([[1, 2, 3], [1, 2, -3], [0, 0, 0]], ["a", "b", "c"], stream(0))
    assert found == (0.25, 1.0, 1.0)


def test_clusters_flip_as_a_whole() -> None:
    values = [[1, 1, 1, 1, 1, 1]]
    assert sign_flip(values, ["a", "a", "a", "b", "b", "b"], stream(0)) == (0.5,)
    assert sign_flip(values, list("abcdef"), stream(0)) == (2 / 64,)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_enumeration_agrees_with_a_loop(sums: list[int]) -> None:
    at_least = [
        abs(sum(s * x for s, x in zip(signs, sums, strict=True))) >= abs(sum(sums))
        for signs in product((1, -1), repeat=len(sums))
    ]
    found = sign_flip([sums], [str(i) for i in range(len(sums))], stream(0))[0]
    assert found == pytest.approx(np.mean(at_least))


def test_drawn_p_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).normal(0.25, 1, size=40)
    ours = sign_flip([values], np.arange(40), stream(0), draws=20_000)[0]
    theirs = scipy_stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)
    ).pvalue
    assert ours == pytest.approx(theirs, abs=0.01)


def test_drawn_p_agrees_with_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(0).integers(-2, 4, size=(5, 12))
    exact = sign_flip(sums, np.arange(12), stream(0))
    monkeypatch.setattr("vsc_eval.stats.significance._MOST_ENUMERATED", 0)
    monkeypatch.setattr("vsc_eval.stats.significance._SIGNS_AT_ONCE", 5000)
    drawn = sign_flip(sums, np.arange(12), stream(0), draws=20_000)
    np.testing.assert_allclose(np.array(drawn, float), np.array(exact, float), atol=0.012)


def test_p_is_never_below_one_over_the_draws() -> None:
    assert sign_flip(np.ones((1, 60)), np.arange(60), stream(0), draws=99) == (0.01,)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.integers(2, 30))
def test_sign_of_the_contrast_does_not_matter(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).integers(-2, 3, size=n)
    found = sign_flip([values, -values], np.arange(n) // 2, stream(seed), draws=300)
    assert found[0] == found[1]
    assert found[0] is not None
    assert 0 < found[0] <= 1


def test_rejects_as_often_as_it_says_where_clusters_share_their_effect() -> None:
    """Naive flips of items would reject two to three times too often here."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(400, 30)), 4, axis=1) + 0.3 * rng.normal(size=(400, 120))
    p = np.array(sign_flip(values, np.repeat(np.arange(30), 4), stream(1), draws=999), float)
    assert 0.025 <= np.mean(p <= 0.05) <= 0.08
    naive = np.array(sign_flip(values, np.arange(120), stream(1), draws=999), float)
    assert np.mean(naive <= 0.05) > 0.15


def test_other_contrasts_leave_a_p_as_it_is() -> None:
    values = np.random.default_rng(0).normal(size=(3, 50))
    together = sign_flip(values, np.arange(50), stream(0), draws=500)
    assert together[1:2] == sign_flip(values[1:2], np.arange(50), stream(0), draws=500)


def test_bad_and_empty_input() -> None:
    assert sign_flip(np.zeros((2, 0)), [], stream(0)) == (None, None)
    with pytest.raises(ValueError, match=r"\[k, items\]"):
        sign_flip([1, 2], ["a", "b"], stream(0))
