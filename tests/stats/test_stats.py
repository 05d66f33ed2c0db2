"""Every statistic against scipy, an independent formula or a figure worked by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vsc_eval.extract import INVALID
from vsc_eval.stats import bootstrap_many, cluster_bootstrap, stream, wilson_interval
from vsc_eval.stats.bootstrap import bootstrap_means, cluster_standard_errors, cluster_sums, detectable_differences
from vsc_eval.stats.drift import PARTS, change_parts
from vsc_eval.stats.significance import McNemar, mcnemar


def orbits(n: int, size: int = 4) -> list[str]:
    return [f"o{i // size}" for i in range(n)]


def test_cluster_sums_by_hand() -> None:
    sums, sizes = cluster_sums([1, 2, 4, 8], ["b", "a", "b", "a"])
    assert sums.tolist() == [10, 5]
    assert sizes.tolist() == [2, 2]


def test_bootstrap_agrees_with_scipy_on_cluster_means() -> None:
    values = np.random.default_rng(0).random(240)
    ours = cluster_bootstrap(values, orbits(240), np.random.default_rng(1), draws=20_000)
    means = values.reshape(60, 4).mean(axis=1)
    theirs = scipy_stats.bootstrap(
        (means,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=2e-3)
    assert ours.high == pytest.approx(theirs.high, abs=2e-3)
    assert (ours.n_items, ours.n_clusters) == (240, 60)


def test_bootstrap_of_unequal_clusters_is_the_ratio_of_sums() -> None:
    """Against a loop that resamples whole clusters and pools their items."""
    rng = np.random.default_rng(0)
    groups = [rng.random(size) + size / 5 for size in rng.integers(1, 8, size=40)]
    names = [f"c{i:02}" for i, group in enumerate(groups) for _ in group]
    ours = cluster_bootstrap(np.concatenate(groups), names, np.random.default_rng(1), draws=8000)
    loop = [np.concatenate([groups[i] for i in rng.integers(0, 40, size=40)]).mean() for _ in range(8000)]
    assert ours.low == pytest.approx(np.quantile(loop, 0.025), abs=0.02)
    assert ours.high == pytest.approx(np.quantile(loop, 0.975), abs=0.02)


def test_clustering_widens_the_interval_of_dependent_items() -> None:
    values = np.repeat(np.random.default_rng(0).random(50) < 0.5, 4)
    clustered = cluster_bootstrap(values, orbits(200), stream(0))
    naive = cluster_bootstrap(values, orbits(200, 1), stream(0))
    assert clustered.high is not None
    assert clustered.low is not None
    assert naive.high is not None
    assert naive.low is not None
    assert (clustered.high - clustered.low) / (naive.high - naive.low) == pytest.approx(2, rel=0.15)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(3), 0
    for _ in range(400):
        probability = rng.beta(2, 2, size=40)  # each orbit has its own; mean 0.5
        right = rng.random((40, 4)) < probability[:, None]
        estimate = cluster_bootstrap(right.ravel(), orbits(160), rng, draws=300)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= 0.5 <= estimate.high
    assert 0.91 <= hits / 400 <= 0.98


def test_chunked_draws_are_all_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsc_eval.stats.bootstrap._WEIGHTS_AT_ONCE", 35)
    assert bootstrap_means(np.ones((2, 10)), np.ones(10), stream(0), draws=100).shape == (100, 2)


def test_undefined_is_none_with_a_reason() -> None:
    empty = cluster_bootstrap([], [], stream(0))
    assert (empty.value, empty.low, empty.reason) == (None, None, "no items")
    one = cluster_bootstrap([1, 0], ["o", "o"], stream(0))
    assert (one.value, one.low, one.reason) == (0.5, None, "only one orbit")
    same = cluster_bootstrap([1, 0, 1, 0], ["o", "o", "p", "p"], stream(0))
    assert (same.value, same.low, same.reason) == (0.5, None, "every orbit gives the same value")
    assert wilson_interval(0, 0).reason == "no items"
    assert cluster_standard_errors([[1, 2]], ["o", "o"]) is None
    assert detectable_differences([[1, 2]], ["o", "o"]) == [None]
    assert detectable_differences([[1, 1]], ["o", "p"]) == [None]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.data())
def test_wilson_limits_are_where_the_score_test_just_fails(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = wilson_interval(k, n)
    for limit in (found.low, found.high):
        assert n * (k / n - limit) ** 2 == pytest.approx(1.959964**2 * limit * (1 - limit), rel=1e-5, abs=1e-9)
    assert found.low < k / n < found.high or k in (0, n)


def mcnemar_of(base: list[bool], cond: list[bool]) -> McNemar:
    pairs = list(zip(base, cond, strict=True))
    return mcnemar(*map(pairs.count, ((True, True), (True, False), (False, True), (False, False))))


def test_mcnemar_by_hand() -> None:
    base = [True] * 5 + [True] * 1 + [False] * 6 + [False] * 2
    cond = [True] * 5 + [False] * 1 + [True] * 6 + [False] * 2
    test = mcnemar_of(base, cond)
    assert (test.both_right, test.only_baseline_right, test.only_condition_right, test.both_wrong) == (5, 1, 6, 2)
    assert test.p_value == pytest.approx(2 * (1 + 7) / 2**7)  # P(X <= 1), X ~ Binomial(7, 1/2), twice
    assert mcnemar_of([True, False], [True, False]).p_value is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_agrees_with_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    contingency_tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    base, cond = map(list, zip(*pairs, strict=True))
    ours = mcnemar_of(base, cond)
    table = [[ours.both_right, ours.only_baseline_right], [ours.only_condition_right, ours.both_wrong]]
    assert sum(map(sum, table)) == len(pairs)
    if ours.p_value is not None:
        assert ours.p_value == pytest.approx(contingency_tables.mcnemar(table, exact=True).pvalue)


def test_drift_parts_by_hand() -> None:
    #        same right->wrong wrong->right wrong->other right->inv wrong->inv inv->right inv->wrong inv->inv
    gold = ["A", "A", "A", "A", "A", "A", "A", "A", "A"]
    base = ["B", "A", "B", "B", "A", "B", INVALID, INVALID, INVALID]
    cond = ["B", "C", "A", "C", INVALID, INVALID, "A", "B", INVALID]
    found = change_parts(*map(np.array, (base, cond, gold)), INVALID)
    assert {part: int(mask.sum()) for part, mask in found.items()} == {
        "right_to_wrong": 1,
        "wrong_to_right": 1,
        "wrong_to_other": 1,
        "to_invalid": 2,
        "from_invalid": 2,
    }


letter = st.sampled_from(["A", "B", "C", "D", INVALID])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(letter, letter, st.sampled_from("ABCD")), min_size=1, max_size=40))
def test_drift_parts_exclude_each_other_and_add_up(rows: list[tuple[str, str, str]]) -> None:
    base, cond, gold = (np.array(column) for column in zip(*rows, strict=True))
    parts = change_parts(base, cond, gold, INVALID)
    assert tuple(parts) == PARTS
    changed = base != cond
    assert (sum(mask.astype(int) for mask in parts.values()) == changed).all()


def test_standard_error_agrees_with_the_plain_one_without_clusters() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert cluster_standard_errors([values], orbits(100, 1)) == pytest.approx([scipy_stats.sem(values)])
    means = values.reshape(25, 4).mean(axis=1)
    assert cluster_standard_errors([values], orbits(100)) == pytest.approx([scipy_stats.sem(means)])


def test_detectable_difference_is_found_with_the_power_it_promises() -> None:
    """A difference of that size, measured with that standard error, is significant in 80% of normal draws."""
    values = np.random.default_rng(1).normal(size=(1, 100))
    (effect,), error = detectable_differences(values, orbits(100)), scipy_stats.sem(values.reshape(25, 4).mean(axis=1))
    assert effect is not None
    assert effect == pytest.approx(2.8016 * error, rel=1e-4)
    draws = np.random.default_rng(0).normal(effect, error, size=20_000)
    assert np.mean(np.abs(draws) > 1.96 * error) == pytest.approx(0.8, abs=0.01)


def test_accuracy_chooses_its_interval_by_the_clusters() -> None:
    right = [True, False] * 20
    share, difference = bootstrap_many([right, right], orbits(40, 1), stream(0), n_shares=1)
    assert share == wilson_interval(20, 40)
    assert "bootstrap" in difference.method
    (share,) = bootstrap_many([[True] * 10 + [False] * 30], orbits(40), stream(0), n_shares=1)
    assert "clustered by orbit" in share.method


def test_streams_are_named_and_repeatable() -> None:
    assert stream(1, "a").random() == 0.23902702416010813  # the same in every process and on every machine
    seen = {stream(1, "ab").random(), stream(1, "a", "b").random(), stream(2, "ab").random(), stream(1).random()}
    assert len(seen) == 4


def test_the_same_stream_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(100)
    found = cluster_bootstrap(values, orbits(100), stream(5))
    # Those of every process and every machine.
    assert (found.low, found.high) == pytest.approx((0.4880300094323499, 0.6041654225017968), abs=1e-12)
    assert found != cluster_bootstrap(values, orbits(100), stream(6))


def test_importing_stats_loads_no_torch() -> None:
    code = "import vsc_eval.stats, sys; assert not {'torch', 'lm_eval', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
