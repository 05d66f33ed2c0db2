"""The figures of a comparison against scipy, scikit-learn, a run's own results and cases worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import cells_of, words_of
from scipy import stats as scipy_stats
from sklearn.metrics import cohen_kappa_score

from vsc_eval.analysis.compare.compare import (
    MOST_LABELS,
    Block,
    OptionDistances,
    answer_block,
    block_figures,
    compare_runs,
)
from vsc_eval.analysis.compare.records import CompareRow, Comparison
from vsc_eval.analysis.groups import ItemGroup
from vsc_eval.analysis.rows import find_row, rows
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem
from vsc_eval.answers.finished_run import FinishedRun, read_run
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import ConditionSpec
from vsc_eval.stats import Figure, adjust, bootstrap_many, cluster_bootstrap, stream
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.drift import PARTS
from vsc_eval.stats.significance import mcnemar, sign_flip

Tables = Callable[..., AnswerTable]
MakeRun = Callable[..., Path]
ALL = ("all", None, None)


@pytest.fixture
def found(make_run: MakeRun) -> Comparison:
    return compare_runs(read_run(make_run("a", 0)), read_run(make_run("b", 1)))


def row_of(found: Comparison, condition: str, group: tuple[str, str | None, str | None] = ALL) -> CompareRow:
    (row,) = (row for row in found.rows if (row.condition_a, (row.scope, row.task, row.level)) == (condition, group))
    return row


def run_of(answers_a: list[str], answers_b: list[str], gold: list[str], size: int = 2) -> tuple[FinishedRun, ...]:
    """Two runs of the baseline with these answers, in clusters of `size`."""
    items = tuple(
        AskedItem(item_id=f"i{place:03}", task="t", cluster=f"c{place // size}", gold=right, scoring="generate")
        for place, right in enumerate(gold)
    )
    runs = []
    for name, answers in (("a", answers_a), ("b", answers_b)):
        words = tuple(dict.fromkeys(answers))
        codes = np.array([[words.index(answer) for answer in answers]], dtype=np.int32)
        none = np.zeros((1, len(items), 0), dtype=np.float32)
        main = Answers(("baseline",), words, codes, codes, none)
        table = AnswerTable(items, (AskedCondition(ConditionSpec(name="baseline")),), main)
        runs.append(FinishedRun(Path(name), {}, {}, (), table))
    return tuple(runs)


def columns(table: AnswerTable, condition: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    answers = words_of(table, condition)
    return answers == table.column("gold"), answers, table.clusters


def test_a_row_for_every_group_and_pair(found: Comparison) -> None:
    assert [pair.condition_a for pair in found.pairs] == ["baseline", "counting", "logic:ablate"]
    for pair in found.pairs:
        assert [row.scope for row in found.rows_of(pair)] == ["all"] + ["task"] * 2 + ["level"] * 2 + ["cell"] * 4
        assert sum(row.n for row in found.rows_of(pair, "cell")) == found.whole(pair).n == 80
    assert (found.n_items, found.n_clusters) == (80, 20)


@pytest.mark.parametrize("group", [ALL, ("task", "logic", None), ("cell", "counting", "hard")])
def test_accuracy_and_difference_are_those_of_the_statistics(
    found: Comparison, table_with: Tables, group: tuple[str, str | None, str | None]
) -> None:
    """Drawn with the stream that a run's own results use, so that an accuracy has the same interval in both."""
    scope, task, level = group
    tables = [table_with(seed) for seed in (0, 1)]
    kept = [task in (None, item.task) and level in (None, item.level) for item in tables[0].items]
    (right_a, _, clusters), (right_b, _, _) = (columns(table.only(np.array(kept)), "counting") for table in tables)

    def rng(what: str) -> np.random.Generator:
        return stream(0, "study", "conditions", what, scope, task or "", level or "")

    row, gain = row_of(found, "counting", group), right_b.astype(float) - right_a
    assert (row.accuracy_a, row.accuracy, row.difference) == bootstrap_many(
        [right_a, right_b, gain], clusters, rng("bootstrap")
    )
    own = find_row(rows(tables[1], StatisticsSpec()), "counting", *group)
    assert own is not None
    assert row.accuracy == own.accuracy
    assert row.detectable_difference == pytest.approx(detectable_differences([gain], clusters)[0])
    assert row.mcnemar == mcnemar(*cells_of(right_a, right_b))
    assert row.p_difference == sign_flip(gain[None], clusters, rng("sign flips"))[0]


def test_mcnemar_against_scipy_and_by_hand() -> None:
    gold = ["A"] * 20
    first = ["A"] * 10 + ["B"] * 10
    second = ["A"] * 7 + ["C"] * 3 + ["A"] * 8 + ["B"] * 2
    row = compare_runs(*run_of(first, second, gold)).rows[0]
    test = row.mcnemar
    assert (test.both_right, test.only_baseline_right, test.only_condition_right, test.both_wrong) == (7, 3, 8, 2)
    assert test.p_value == pytest.approx(scipy_stats.binomtest(8, 11).pvalue)
    assert row.difference.value == pytest.approx(0.25)
    assert (row.agreement.value, row.drift.n_changed) == (pytest.approx(9 / 20), 11)
    assert (row.drift.right_to_wrong, row.drift.wrong_to_right, row.drift.wrong_to_other) == (3, 8, 0)


def test_cells_are_adjusted_by_holm_and_sums_are_not(found: Comparison) -> None:
    for pair in found.pairs:
        cells = found.rows_of(pair, "cell")
        assert tuple(row.p_difference_adjusted for row in cells) == adjust([row.p_difference for row in cells])
        assert all(row.p_difference_adjusted is None for row in found.rows_of(pair) if row.scope != "cell")


def test_parts_and_agreement_add_up(found: Comparison) -> None:
    assert any(row.drift.n_changed for row in found.rows)
    for row in found.rows:
        change = row.drift
        assert sum(getattr(change, part) for part in PARTS) == change.n_changed
        assert change.share.value == pytest.approx(change.n_changed / row.n)
        assert row.agreement.value == pytest.approx(1 - change.n_changed / row.n)
        assert (row.upper_if_none is None) == (change.n_changed > 0)
        test = row.mcnemar
        assert row.difference.value == pytest.approx((test.only_condition_right - test.only_baseline_right) / row.n)


def drawn(block: Block, size: int) -> list[list[Figure]]:
    """The block's figures, its items in clusters of `size`."""
    n = block.values.shape[1]
    (run, _) = run_of(["A"] * n, ["A"] * n, ["A"] * n, size)
    everything = np.ones(n, dtype=bool)
    return block_figures([(block, everything)], run.table, ItemGroup("all", everything), StatisticsSpec())


def kappa(answers_a: list[str], answers_b: list[str]) -> Figure:
    words = sorted({*answers_a, *answers_b})
    a, b = (np.array([words.index(word) for word in answers], dtype=np.int32) for answers in (answers_a, answers_b))
    ((*_, figure),) = drawn(answer_block(a, b)[0], 2)
    return figure


def test_kappa_by_hand() -> None:
    # 25 yes-yes, 10 yes-no, 15 no-yes, 50 no-no: p_o = 0.75, p_e = 0.35 * 0.40 + 0.65 * 0.60 = 0.53.
    first = ["y"] * 35 + ["n"] * 65
    second = ["y"] * 25 + ["n"] * 10 + ["y"] * 15 + ["n"] * 50
    figure = kappa(first, second)
    assert figure.value == pytest.approx((0.75 - 0.53) / (1 - 0.53))
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("ABCDx"), st.sampled_from("ABCDx")), min_size=4, max_size=40))
def test_kappa_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    first, second = map(list, zip(*pairs, strict=True))
    figure = kappa(first, second)
    if len({*first, *second}) == 1:
        assert figure.value is None
        assert figure.reason == "undefined"
    else:
        assert figure.value == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_says_why_it_is_undefined() -> None:
    row = compare_runs(*run_of(["A"] * 4, ["A"] * 4, ["A"] * 4)).rows[0]
    assert (row.kappa.value, row.kappa.reason) == (None, "both give one and the same answer")
    words = [f"w{i}" for i in range(MOST_LABELS + 1)]
    row = compare_runs(*run_of(words, words, words)).rows[0]
    assert (row.kappa.value, row.kappa.reason) == (None, f"more than {MOST_LABELS} different answers")
    assert row.agreement.value == 1


def test_an_interval_that_some_draws_leave_undefined_is_none() -> None:
    """Two clusters: a draw of the first alone has one and the same answer throughout."""
    figure = kappa(["A", "A", "B", "C"], ["A", "A", "B", "D"])
    assert figure.value is not None
    assert (figure.low, figure.high, figure.reason) == (None, None, "undefined in some draws")


def test_distances_of_option_distributions(found: Comparison, table_with: Tables) -> None:
    tables = [table_with(seed) for seed in (0, 1)]
    a, b = (table.main.option_logprobs[1].astype(float) for table in tables)
    options = row_of(found, "counting").options
    assert options is not None
    assert (options.n_items, options.n_one_sided) == (80, 0)
    assert options.mean_abs_difference.value == pytest.approx(np.abs(a - b).mean())
    assert options.max_abs_difference == pytest.approx(np.abs(a - b).max())
    assert options.max_item == tables[0].items[int(np.abs(a - b).max(axis=1).argmax())].item_id
    shares = [np.exp(values) / np.exp(values).sum(axis=1, keepdims=True) for values in (a, b)]
    kl = scipy_stats.entropy(*shares, axis=1)
    assert options.kl.value == pytest.approx(kl.mean())
    estimate = cluster_bootstrap(kl, tables[0].clusters, stream(0, "study", "conditions", "bootstrap", "all", "", ""))
    assert (options.kl.low, options.kl.high) == pytest.approx((estimate.low, estimate.high))


def test_probability_zero_has_no_finite_difference() -> None:
    none = -math.inf
    gap = math.nan
    block = OptionDistances.of(
        np.array([[-1, -2, none], [-1, none, gap], [-1, -1, gap], [gap] * 3, [-0.5, -0.5, gap]]),
        np.array([[-1.5, -2, none], [-1, -3, gap], [-1, -1.25, gap], [-1, -1, gap], [gap] * 3]),
    )
    assert block is not None
    assert block.present.tolist() == [True, True, True, False, False]
    assert block.finite.tolist() == [True, False, True, False, False]
    assert (block.values[0] * block.scale[0])[[0, 2]] == pytest.approx([0.5 / 3, 0.125])
    assert block.largest[[0, 2]] == pytest.approx([0.5, 0.25])
    assert OptionDistances.of(np.array([[gap, gap]]), np.array([[-1.0, -1.0]])) is None


def test_items_with_an_infinite_difference_are_counted(make_run: MakeRun, table_with: Tables) -> None:
    def with_zero(places: slice) -> AnswerTable:
        table = table_with(1)
        logprobs = table.main.option_logprobs.copy()
        logprobs[0, places, 0] = -math.inf
        return replace(table, main=replace(table.main, option_logprobs=logprobs))

    b = make_run("b", table=with_zero(slice(1)))
    options = row_of(compare_runs(read_run(make_run("a")), read_run(b)), "baseline").options
    assert options is not None
    assert (options.n_items, options.n_one_sided, options.kl.n_items) == (80, 1, 79)
    # With nothing finite left there is no figure, and a reason.
    found = compare_runs(read_run(make_run("c")), read_run(make_run("d", table=with_zero(slice(None)))))
    options = row_of(found, "baseline").options
    assert options is not None
    assert (options.max_abs_difference, options.kl.value, options.n_one_sided) == (None, None, 80)
    assert options.kl.reason == "no item has a finite difference"


def test_tiny_distances_keep_their_interval() -> None:
    rng = np.random.default_rng(0)
    block = OptionDistances.of(rng.normal(size=(40, 4)) * 1e-7, np.zeros((40, 4)))
    assert block is not None
    (raw,) = drawn(block, 4)
    kl = block.in_nats(raw)[1]
    assert kl.low is not None
    assert kl.value is not None
    assert 0 < kl.low < kl.value < 1e-13


def test_effects_are_differences_in_differences(found: Comparison, table_with: Tables) -> None:
    (row,) = (row for row in found.effects if (row.condition_a, row.scope) == ("counting", "all"))
    gains, drifts = [], []
    for seed in (0, 1):
        (base, before, clusters), (cond, after, _) = (
            columns(table_with(seed), name) for name in ("baseline", "counting")
        )
        gains.append(cond.astype(float) - base)
        drifts.append((before != after).astype(float))
    assert row.effect_a.value == pytest.approx(gains[0].mean())
    assert row.effect_b.value == pytest.approx(gains[1].mean())
    assert row.effect_difference.value == pytest.approx((gains[1] - gains[0]).mean())
    assert (row.drift_a.value, row.drift_b.value) == pytest.approx((drifts[0].mean(), drifts[1].mean()))
    assert row.drift_difference.value == pytest.approx((drifts[1] - drifts[0]).mean())
    theirs = cluster_bootstrap(
        gains[1] - gains[0], clusters, stream(0, "study", "conditions", "bootstrap", "all", "", "")
    )
    assert (row.effect_difference.low, row.effect_difference.high) == pytest.approx((theirs.low, theirs.high))
    assert {row.condition_a for row in found.effects} == {"counting", "logic:ablate"}
    assert {row.scope for row in found.effects} == {"all", "task", "level"}


answer = st.sampled_from(["A", "B", "invalid"])


@settings(max_examples=40)
@given(st.lists(st.tuples(answer, answer, st.sampled_from(["A", "B"])), min_size=2, max_size=30))
def test_swapping_the_runs_flips_signs_and_directions(triples: list[tuple[str, str, str]]) -> None:
    first, second, gold = map(list, zip(*triples, strict=True))
    a, b = run_of(first, second, gold)
    forth, back = compare_runs(a, b), compare_runs(b, a)
    for x, y in zip(forth.rows, back.rows, strict=True):
        assert x.difference.value == pytest.approx(-(y.difference.value or 0))
        if x.difference.low is not None and y.difference.high is not None:
            assert x.difference.low == pytest.approx(-y.difference.high, abs=1e-12)
        assert x.p_difference == y.p_difference
        assert (x.accuracy_a, x.invalid_rate_a, x.accuracy) == (y.accuracy, y.invalid_rate, y.accuracy_a)
        assert x.agreement == y.agreement
        assert x.kappa.value == pytest.approx(y.kappa.value)
        assert (x.mcnemar.only_baseline_right, x.mcnemar.p_value) == (y.mcnemar.only_condition_right, y.mcnemar.p_value)
        assert x.drift.right_to_wrong == y.drift.wrong_to_right
        assert x.drift.to_invalid == y.drift.from_invalid
        assert x.drift.wrong_to_other == y.drift.wrong_to_other


def test_swapping_flips_effects_too(make_run: MakeRun) -> None:
    a, b = read_run(make_run("a", 0)), read_run(make_run("b", 1))
    for x, y in zip(compare_runs(a, b).effects, compare_runs(b, a).effects, strict=True):
        assert (x.effect_a, x.drift_a) == (y.effect_b, y.drift_b)
        assert x.effect_difference.value == pytest.approx(-(y.effect_difference.value or 0))
        assert x.drift_difference.value == pytest.approx(-(y.drift_difference.value or 0))


def test_a_run_beside_itself_differs_in_nothing(make_run: MakeRun) -> None:
    run = make_run("a")
    found = compare_runs(read_run(run), read_run(run))
    assert found.settings == ()
    for row in found.rows:
        assert (row.difference.value, row.agreement.value, row.drift.n_changed) == (0, 1, 0)
        assert (row.mcnemar.only_baseline_right, row.mcnemar.only_condition_right, row.mcnemar.p_value) == (0, 0, None)
        assert row.options is not None
        assert (row.options.max_abs_difference, row.options.kl.value) == (0, 0)
        # (1 - p)^clusters = 0.05
        assert row.upper_if_none is not None
        assert (1 - row.upper_if_none) ** row.n_clusters == pytest.approx(0.05)
    for effect in found.effects:
        assert (effect.effect_difference.value, effect.drift_difference.value) == (0, 0)


def test_the_order_of_the_items_does_not_matter(make_run: MakeRun, table_with: Tables, found: Comparison) -> None:
    again = compare_runs(
        read_run(make_run("c", 0)),
        read_run(make_run("d", table=table_with(1).only(np.arange(80, dtype=np.int32)[::-1]))),
    )
    for x, y in zip(found.rows, again.rows, strict=True):
        assert x == y


def test_independent_items_have_wilsons_interval() -> None:
    row = compare_runs(*run_of(["A"] * 9 + ["B"], ["A"] * 10, ["A"] * 10, size=1)).rows[0]
    theirs = scipy_stats.binomtest(9, 10).proportion_ci(method="wilson")
    assert (row.accuracy_a.low, row.accuracy_a.high) == pytest.approx((theirs.low, theirs.high))
    assert "Wilson" in row.accuracy.method
    assert "bootstrap" in row.difference.method


def test_a_comparison_round_trips_through_json(found: Comparison) -> None:
    text = found.model_dump_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert Comparison.model_validate_json(text) == found
