"""The bootstrap of many rows at once against single calls, and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from vsc_eval.stats import bootstrap_many, cluster_bootstrap, stream
from vsc_eval.stats.bootstrap import cluster_standard_errors


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_estimate_is_that_of_a_single_call(data: st.DataObject) -> None:
    n_items, rows = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    values = rng.integers(-1, 2, size=(rows, n_items))
    # Names whose order as text is not their order as numbers.
    clusters = np.array([f"orbit {n}" for n in rng.integers(0, 30, size=n_items)])
    found = bootstrap_many(values, clusters, stream(0), draws=50)
    assert list(found) == [cluster_bootstrap(row, clusters, stream(0), draws=50) for row in values]


def test_a_statistic_sees_means_under_shared_weights() -> None:
    values = np.random.default_rng(0).random((2, 80))
    clusters = np.repeat(np.arange(20), 4).astype(str)

    def difference(means: np.ndarray) -> np.ndarray:
        return means[..., :1] - means[..., 1:]

    (found,) = bootstrap_many(values, clusters, stream(1), statistic=difference, draws=500)
    single = cluster_bootstrap(values[0] - values[1], clusters, stream(1), draws=500)
    assert [found.value, found.low, found.high] == pytest.approx([single.value, single.low, single.high])


def test_intervals_agree_with_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values, clusters = rng.random((2, 48)), np.repeat(np.arange(12), 4)
    found = bootstrap_many(values, clusters, stream(0), draws=6000)
    by_cluster = values.reshape(2, 12, 4)
    loop = [by_cluster[:, rng.integers(0, 12, size=12)].mean(axis=(1, 2)) for _ in range(6000)]
    low, high = np.quantile(loop, [0.025, 0.975], axis=0)
    assert_allclose([e.low for e in found], low, atol=0.01)
    assert_allclose([e.high for e in found], high, atol=0.01)


def test_what_is_undefined_has_its_reason() -> None:
    assert [e.reason for e in bootstrap_many(np.zeros((2, 0)), [], stream(0))] == ["no items"] * 2
    assert bootstrap_many([[1, 0]], ["a", "a"], stream(0))[0].reason == "only one orbit"
    flat, varied = bootstrap_many([[1, 1], [1, 0]], ["a", "b"], stream(0))
    assert (flat.value, flat.low, flat.reason) == (1, None, "every orbit gives the same value")
    assert varied.reason is None
    with pytest.raises(ValueError, match=r"\[k, items\]"):
        bootstrap_many([1, 2], ["a", "b"], stream(0))


def test_standard_errors_of_many_means() -> None:
    values = np.random.default_rng(0).normal(size=(3, 40))
    means = values.reshape(3, 10, 4).mean(axis=2)
    found = cluster_standard_errors(values, np.repeat(np.arange(10), 4))
    assert found is not None
    assert_allclose(found, means.std(axis=1, ddof=1) / np.sqrt(10))
    assert cluster_standard_errors(values, np.zeros(40, dtype=int)) is None
