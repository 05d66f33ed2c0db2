"""The selection rule: scores against scipy and by hand, planted features, ties, invariances; pooling of codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from selecting import select_features
from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.interventions.harvest import PooledActivations, pool_codes
from vsc_eval.interventions.scores import SCORES
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.model import SparseCodes

NAMES = SCORES.names()


def pooled(values: Any) -> PooledActivations:
    tensor = torch.as_tensor(values, dtype=torch.float32)
    return PooledActivations(tensor, tensor > 0)


def one_score(task: list[float], others: list[float], score: str) -> float:
    values = np.array([*task, *others])[:, None]
    in_task = np.arange(len(values)) < len(task)
    return float(SCORES.get(score).scores(values, values > 0, in_task[None])[0, 0])


def test_scores_by_hand() -> None:
    # Means 3 and 1; variances 1 and 2 with 3 and 2 items, so the pooled variance is (2 * 1 + 1 * 2) / 3.
    assert one_score([2, 3, 4], [0, 2], "diff_of_means") == pytest.approx(2 / np.sqrt(4 / 3))
    # Pairs won: 2 > 0 and 2 = 2; 3 > 0, 2; 4 > 0, 2.
    assert one_score([2, 3, 4], [0, 2], "auroc") == pytest.approx(5.5 / 6)
    assert one_score([2, 3, 4], [0, 2], "frequency_gap") == pytest.approx(1 - 1 / 2)


values = st.lists(st.integers(0, 5).map(float), min_size=2, max_size=30)


@given(task=values, others=values)
def test_auroc_is_mann_whitneys_u(task: list[float], others: list[float]) -> None:
    u = stats.mannwhitneyu(task, others).statistic if task or others else 0.0
    assert one_score(task, others, "auroc") == pytest.approx(u / (len(task) * len(others)))


@given(task=values, others=values)
def test_diff_of_means_is_students_t_without_its_sizes(task: list[float], others: list[float]) -> None:
    assume(np.ptp(task) > 0 and np.ptp(others) > 0)
    t = stats.ttest_ind(task, others).statistic
    expected = t * np.sqrt(1 / len(task) + 1 / len(others))
    assert one_score(task, others, "diff_of_means") == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(task=values, others=values, score=st.sampled_from(NAMES))
def test_swapping_the_groups_turns_the_score_round(task: list[float], others: list[float], score: str) -> None:
    nothing = 0.5 if score == "auroc" else 0.0
    forth, back = one_score(task, others, score), one_score(others, task, score)
    assert forth - nothing == pytest.approx(nothing - back, abs=1e-9)


def test_perfect_separation_without_spread_stays_finite_and_ordered() -> None:
    assert one_score([1, 1], [0, 0], "diff_of_means") == pytest.approx(1e6)
    assert one_score([0, 0], [1, 1], "diff_of_means") == pytest.approx(-1e6)
    assert one_score([1, 1], [1, 1], "diff_of_means") == 0


TASKS = ("logic", "counting", "existence")


def planted(n_features: int = 60, per_task: int = 40) -> tuple[Tensor, list[str]]:
    """Noise, and for task t the features 10 t + (3, 1, 4) that fire more strongly and more often on it."""
    generator = torch.Generator().manual_seed(0)
    labels = [task for task in TASKS for _ in range(per_task)]
    active = torch.rand(len(labels), n_features, generator=generator) < 0.3
    strength = torch.rand(len(labels), n_features, generator=generator)
    for row, task in enumerate(labels):
        for feature in (3, 1, 4):
            active[row, 10 * TASKS.index(task) + feature] = True
            strength[row, 10 * TASKS.index(task) + feature] += 1.0
    return active * strength, labels


@pytest.mark.parametrize("score", NAMES)
@pytest.mark.parametrize("exclusive", [True, False])
def test_planted_features_are_chosen(score: str, exclusive: bool) -> None:
    data, labels = planted()
    sets = select_features(pooled(data), labels, SelectionRule(score=score, m=3, exclusive=exclusive))
    assert [s.name for s in sets] == [s.task for s in sets] == list(TASKS)
    for position, chosen in enumerate(sets):
        assert set(chosen.indices) == {10 * position + f for f in (1, 3, 4)}
        assert list(chosen.scores) == sorted(chosen.scores, reverse=True)


def test_what_decided_is_stored() -> None:
    data, labels = planted()
    rule = SelectionRule(score="frequency_gap", m=3, min_frequency=0.2)
    chosen = select_features(pooled(data), labels, rule, provenance={"split": "select"})[1]
    assert chosen.provenance == {
        "n_items": 120,
        "n_task_items": 40,
        "rule_score": "frequency_gap",
        "rule_pooling": "mean",
        "rule_m": 3,
        "rule_min_frequency": 0.2,
        "rule_exclusive": True,
        "split": "select",
    }


@given(permutation=st.permutations(range(60)), score=st.sampled_from(NAMES))
def test_the_order_of_items_does_not_matter(permutation: list[int], score: str) -> None:
    data, labels = planted(per_task=20)
    rule = SelectionRule(score=score, m=5)
    expected = {s.name: s.indices for s in select_features(pooled(data), labels, rule)}
    shuffled = select_features(pooled(data[permutation]), [labels[i] for i in permutation], rule)
    assert {s.name: s.indices for s in shuffled} == expected


@given(seed=st.integers(0, 100))
def test_renaming_features_renames_the_chosen_ones(seed: int) -> None:
    data, labels = planted()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    rule = SelectionRule(score="auroc", m=3)
    for plain, renamed in zip(
        select_features(pooled(data), labels, rule), select_features(pooled(data[:, order]), labels, rule), strict=True
    ):
        assert {int(order[i]) for i in renamed.indices} == set(plain.indices)


@pytest.mark.parametrize("score", NAMES)
def test_ties_are_broken_by_index(score: str) -> None:
    column_a, column_b = torch.tensor([1.0, 2.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 2.0])
    data = torch.stack([column_b, *[column_a] * 4, *[column_b] * 3], dim=1)
    sets = select_features(pooled(data), ["a", "a", "b", "b"], SelectionRule(score=score, m=3))
    assert [s.indices for s in sets] == [(1, 2, 3), (0, 5, 6)]


def test_exclusive_sets_are_disjoint_and_shared_ones_need_not_be() -> None:
    # Feature 0 tells both a and b from c, a better; feature 1 tells b alone; feature 2 tells c.
    data = torch.tensor(
        [[3, 0, 0.0], [4, 0, 0], [5, 0, 0], [2, 1, 0], [2.5, 2, 0], [3.5, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 2]]
    )
    labels = list("aaabbbccc")
    shared = select_features(pooled(data), labels, SelectionRule(m=1, exclusive=False))
    assert [s.indices for s in shared] == [(0,), (1,), (2,)]
    # Exclusively, feature 0 is a's and b falls back on its own.
    exclusive = select_features(pooled(data), labels, SelectionRule(m=1))
    assert [s.indices for s in exclusive] == [(0,), (1,), (2,)]
    without_its_own = torch.cat([data[:, :1], data[:, 2:]], dim=1)
    shared = select_features(pooled(without_its_own), labels, SelectionRule(m=1, exclusive=False))
    assert [s.indices for s in shared] == [(0,), (0,), (1,)]
    with pytest.raises(DataError, match="Only 0 features are eligible for 'b', and the rule asks for 1"):
        select_features(pooled(without_its_own), labels, SelectionRule(m=1))


def test_rare_features_are_not_eligible() -> None:
    data, labels = planted()
    data[:, 50] = 0.0
    data[0, 50] = 1000.0  # one item of the first task
    often = SelectionRule(score="frequency_gap", m=4, min_frequency=0.1)
    assert 50 not in select_features(pooled(data), labels, often)[0].indices
    everything = SelectionRule(score="auroc", m=60, min_frequency=0.0, exclusive=False)
    with pytest.raises(DataError, match=r"Only \d+ features are eligible"):
        select_features(pooled(data), labels, everything)


def test_features_that_say_the_contrary_are_not_eligible() -> None:
    data = torch.tensor([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]])
    sets = select_features(pooled(data), ["a", "a", "b", "b"], SelectionRule(m=1, min_frequency=0.0))
    assert [s.indices for s in sets] == [(1,), (0,)]


@pytest.mark.parametrize("labels", [["a", "a", "a"], ["a", "a", "b"]])
def test_too_few_tasks_or_items(labels: list[str]) -> None:
    with pytest.raises(SpecError, match="at least two tasks with at least two items"):
        select_features(pooled(torch.rand(3, 4)), labels, SelectionRule(m=1))


def codes_by_hand() -> tuple[SparseCodes, Tensor]:
    indices = torch.tensor([[[0, 1], [1, 2], [3, 0]], [[2, 3], [0, 1], [1, 3]]])
    values = torch.tensor([[[1.0, 2.0], [4.0, 0.0], [9.0, 9.0]], [[5.0, 0.0], [1.0, 2.0], [3.0, 1.0]]])
    mask = torch.tensor([[True, True, False], [False, True, True]])
    return SparseCodes(indices, values), mask


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [[0.5, 3, 0, 0, 0], [0.5, 2.5, 0, 0.5, 0]]),
        ("max", [[1, 4, 0, 0, 0], [1, 3, 0, 1, 0]]),
        ("fired", [[1, 1, 0, 0, 0], [1, 1, 0, 1, 0]]),
    ],
)
def test_pooling_by_hand(how: str, expected: list[list[float]]) -> None:
    codes, mask = codes_by_hand()
    result = pool_codes(codes, mask, 5, how)  # type: ignore[arg-type]
    assert result.values.tolist() == expected
    assert result.fired.int().tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 1, 0]]


@given(seed=st.integers(0, 100), how=st.sampled_from(["mean", "max", "fired"]))
def test_pooling_against_dense(seed: int, how: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    dense = torch.rand(3, 6, 12, generator=generator).relu() * (torch.rand(3, 6, 12, generator=generator) < 0.3)
    top = dense.topk(5)
    mask = torch.rand(3, 6, generator=generator) < 0.5
    mask[:, 0] = True
    kept = SparseCodes(top.indices, top.values).to_dense(12)
    result = pool_codes(SparseCodes(top.indices, top.values), mask, 12, how)  # type: ignore[arg-type]
    for row in range(3):
        chosen = kept[row][mask[row]]
        reference = {"mean": chosen.mean(0), "max": chosen.amax(0), "fired": (chosen > 0).any(0).float()}[how]
        torch.testing.assert_close(result.values[row], reference)
        assert torch.equal(result.fired[row], (chosen > 0).any(0))


def test_pooling_nothing_names_the_rows() -> None:
    codes, mask = codes_by_hand()
    with pytest.raises(DataError, match=r"No token is chosen in row\(s\) \[1\]"):
        pool_codes(codes, mask & torch.tensor([[True], [False]]), 5, "mean")
