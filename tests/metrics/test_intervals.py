"""Intervals of official figures, against a bootstrap that was written plainly and against the estimators of stats."""

from __future__ import annotations

import numpy as np
import pytest

from vsc_eval import metrics
from vsc_eval.metrics import ScoredItem
from vsc_eval.stats import cluster_bootstrap, stream

RNG = np.random.default_rng(7)


def pope_items(n: int, *, yes_rate: float = 0.5, right_rate: float = 0.7) -> list[ScoredItem]:
    items = []
    for i in range(n):
        gold = "yes" if RNG.random() < yes_rate else "no"
        answer = gold if RNG.random() < right_rate else ("no" if gold == "yes" else "yes")
        items.append(ScoredItem(id=str(i), answer=answer, gold=gold, fields={"category": "random"}))
    return items


ITEMS = pope_items(120)
CLUSTERS = [f"image/{i // 6}" for i in range(120)]


def test_the_accuracy_has_the_interval_of_the_plain_cluster_bootstrap() -> None:
    found = metrics.estimate(
        metrics.get("pope").aggregate(ITEMS)["accuracy"], CLUSTERS, stream(1, "x"), cluster_name="image"
    )
    right = np.array([item.answer == item.gold for item in ITEMS])
    expected = cluster_bootstrap(right, CLUSTERS, stream(1, "x"), cluster_name="image")
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert (found.n_items, found.n_clusters, found.method) == (120, 20, expected.method)


def f1(items: list[ScoredItem]) -> float:
    tp = sum(item.answer == item.gold == "yes" for item in items)
    return 2 * tp / (sum(item.answer == "yes" for item in items) + sum(item.gold == "yes" for item in items))


def test_f1_against_a_bootstrap_that_draws_clusters_one_by_one() -> None:
    found = metrics.estimate(
        metrics.get("pope").aggregate(ITEMS)["f1"], CLUSTERS, stream(2, "x"), cluster_name="image", draws=4000
    )
    assert found.value == pytest.approx(f1(ITEMS))
    groups = [ITEMS[6 * k : 6 * k + 6] for k in range(20)]
    rng = np.random.default_rng(3)
    drawn = [f1([item for k in rng.integers(0, 20, 20) for item in groups[k]]) for _ in range(4000)]
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)


def test_a_difference_is_paired() -> None:
    edited = [
        ScoredItem(id=item.id, answer="yes" if i % 10 == 0 else item.answer, gold=item.gold, fields=item.fields)
        for i, item in enumerate(ITEMS)
    ]
    base, cond = (metrics.get("pope").aggregate(items)["f1"] for items in (ITEMS, edited))
    found = metrics.estimate(metrics.difference(base, cond), CLUSTERS, stream(4, "x"), cluster_name="image")
    assert found.value == pytest.approx(f1(edited) - f1(ITEMS))
    assert found.low is not None
    assert found.high is not None
    alone = [metrics.estimate(q, CLUSTERS, stream(4, "x"), cluster_name="image") for q in (base, cond)]
    width = sum((e.high or 0) - (e.low or 0) for e in alone)
    assert found.high - found.low < width / 2, "resampled together, what both share cancels"
    nothing = metrics.estimate(metrics.difference(base, base), CLUSTERS, stream(4, "x"), cluster_name="image")
    assert (nothing.value, nothing.low, nothing.reason) == (0.0, None, "every image gives the same value")


def test_an_undefined_figure_says_why() -> None:
    items = [ScoredItem(id=str(i), answer="no", gold="no", fields={"category": "random"}) for i in range(4)]
    precision = metrics.get("pope").aggregate(items)["precision"]
    found = metrics.estimate(precision, list("abcd"), stream(1, "x"), cluster_name="image")
    assert (found.value, found.low, found.reason) == (None, None, "no answer is yes")
    defined = metrics.get("pope").aggregate(ITEMS[:4])["precision"]
    difference = metrics.estimate(
        metrics.difference(defined, precision), list("abcd"), stream(1, "x"), cluster_name="image"
    )
    assert (difference.value, difference.reason) == (None, "no answer is yes")


def test_a_ratio_that_many_draws_leave_undefined_has_no_interval() -> None:
    items = [
        ScoredItem(id=str(i), answer="yes" if i == 0 else "no", gold="yes", fields={"category": "random"})
        for i in range(6)
    ]
    quantity = metrics.get("pope").aggregate(items)["precision"]
    found = metrics.estimate(quantity, list("abcdef"), stream(1, "x"), cluster_name="image")
    assert found.value == 1.0
    assert found.low is None
    share = (5 / 6) ** 6
    assert found.reason is not None
    assert found.reason.startswith("no answer is yes in ")
    assert abs(float(found.reason.split(" in ")[1].split("%")[0]) / 100 - share) < 0.05


def test_few_clusters_and_no_items() -> None:
    quantity = metrics.get("exact").aggregate([ScoredItem(id="a", answer="A", gold="A")])["accuracy"]
    assert metrics.estimate(quantity, ["c"], stream(1, "x"), cluster_name="image").reason == "only one image"
    nothing = metrics.get("exact").aggregate([])["accuracy"]
    assert metrics.estimate(nothing, [], stream(1, "x"), cluster_name="image").reason == "no items"


def test_figures_of_different_items_are_refused() -> None:
    short, whole = (metrics.get("exact").aggregate(items)["accuracy"] for items in (ITEMS[:3], ITEMS))
    with pytest.raises(ValueError, match="different items"):
        metrics.estimate(metrics.difference(short, whole), CLUSTERS, stream(1, "x"), cluster_name="image")


def test_groups_are_resampled_whole() -> None:
    """Group accuracy from item-level resampling equals that from a list of groups."""
    rights = RNG.random((30, 4)) < 0.8
    items = [
        ScoredItem(id=f"{g}/{k}", answer="yes" if rights[g, k] else "no", gold="yes", fields={"Index": str(4 * g + k)})
        for g in range(30)
        for k in range(4)
    ]
    clusters = [f"{g:02d}" for g in range(30) for _ in range(4)]
    quantity = metrics.get("naturalbench").aggregate(items)["group_accuracy"]
    found = metrics.estimate(quantity, clusters, stream(5, "x"), cluster_name="group")
    groups = cluster_bootstrap(rights.all(axis=1), [f"{g:02d}" for g in range(30)], stream(5, "x"))
    assert (found.value, found.low, found.high) == pytest.approx((groups.value, groups.low, groups.high))
    assert (found.n_items, found.n_clusters) == (30, 30)
