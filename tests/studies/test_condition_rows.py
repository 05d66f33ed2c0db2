"""Rows of conditions beside the same figures computed plainly, by the statistics of a run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from vsc_eval.studies.arrays import INVALID_CODE, AnswerArrays, ReadingArrays
from vsc_eval.studies.condition_rows import condition_rows

from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.specs import BASELINE
from vsc_eval.stats import adjust, cluster_bootstrap, drift, mcnemar, paired_difference, sign_flip, stream
from vsc_eval.studies.records import ConditionRow
from vsc_eval.studies.simulate import World, simulate
from vsc_eval.studies.spec import ControlOptions, StatisticsOptions, StudySpec, SweepOptions
from vsc_eval.studies.swept import swept_conditions

TASKS = ("counting", "logic", "existence")
SPEC = StudySpec(
    tasks=TASKS,
    sweep=SweepOptions(items_per_cell=8, edits=("scale=4",)),
    controls=ControlOptions(items_per_cell=4, draws=0),
    statistics=StatisticsOptions(draws=200, permutations=300),
    verdict=VerdictRule(control_kinds=()),
)
UNION = "counting+logic:scale=4"
LETTERS = np.array(["A", "B", "C", "D", "invalid"])


@pytest.fixture(scope="module")
def table() -> AnswerArrays:
    return simulate(SPEC, stream(0, "rows"), world=World(invalid=0.05)).table


@pytest.fixture(scope="module")
def readings(table: AnswerArrays) -> dict[str, ReadingArrays]:
    rng, n = np.random.default_rng(0), len(table.item_ids)
    return {c.name: ReadingArrays(*rng.random((5, n))) for c in swept_conditions(SPEC)}


@pytest.fixture(scope="module")
def rows(table: AnswerArrays, readings: dict[str, ReadingArrays]) -> tuple[ConditionRow, ...]:
    null = table.answers[BASELINE].copy()
    null[:4] = (null[:4] + 1) % 4
    return condition_rows(table, readings, SPEC, null_answers={"same": table.answers[BASELINE], "other": null})


def find(rows: tuple[ConditionRow, ...], condition: str, scope: str, task: str | None = None) -> ConditionRow:
    (row,) = [row for row in rows if (row.condition, row.scope, row.task) == (condition, scope, task)]
    return row


def test_conditions_and_groups(rows: tuple[ConditionRow, ...]) -> None:
    swept = swept_conditions(SPEC)
    assert [c.role for c in swept] == ["baseline"] + ["single"] * 3 + ["union"] * 3 + ["norm_matched_union"] * 3
    assert list(dict.fromkeys(row.condition for row in rows)) == [c.name for c in swept]
    groups = [row.scope for row in rows if row.condition == BASELINE]
    assert groups == ["all"] + ["cell"] * 9 + ["task"] * 3 + ["level"] * 3
    groups = [row.scope for row in rows if row.condition == UNION]
    assert groups == ["all", *["task"] * 3, *["level"] * 3, "on_target", "off_target"]


def test_figures_of_a_condition(table: AnswerArrays, rows: tuple[ConditionRow, ...]) -> None:
    row = find(rows, UNION, "task", "logic")
    mask = table.tasks == "logic"
    base, cond, gold = (LETTERS[codes[mask]] for codes in (table.answers[BASELINE], table.answers[UNION], table.gold))
    clusters = table.clusters[mask]
    rng = stream(SPEC.seed, "study", "conditions", "bootstrap", "task", "logic", "")
    expected = cluster_bootstrap(cond == gold, clusters, rng, draws=200)
    assert row.accuracy.model_dump() == dataclasses.asdict(expected)
    paired = paired_difference(base == gold, cond == gold, clusters, stream(0))
    assert row.difference is not None
    assert row.difference.value == pytest.approx(paired.difference.value)
    assert row.detectable_difference == pytest.approx(paired.detectable)
    assert row.mcnemar is not None
    assert row.mcnemar.model_dump() == dataclasses.asdict(mcnemar(base == gold, cond == gold))
    changes = drift(base, cond, gold, clusters, stream(0))
    assert row.drift is not None
    assert row.drift.share.value == pytest.approx(changes.share.value)
    counts = {"n_changed", "right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid"}
    assert row.drift.model_dump(include=counts) == {name: getattr(changes, name) for name in counts}
    assert row.invalid_rate == (table.answers[UNION][mask] == INVALID_CODE).mean()
    gain = (cond == gold).astype(int) - (base == gold)
    flips = stream(SPEC.seed, "study", "conditions", "sign flips", "task", "logic", "")
    assert row.p_difference == sign_flip([gain], clusters, flips, draws=300).p_values[0]
    assert (row.n, row.n_clusters) == (24, 6)


def test_target_groups_are_the_tasks_of_the_sets(table: AnswerArrays, rows: tuple[ConditionRow, ...]) -> None:
    on, off = find(rows, UNION, "on_target"), find(rows, UNION, "off_target")
    assert (on.n, off.n) == (48, 24)
    off_mask = table.tasks == "existence"
    assert off.accuracy.value == pytest.approx((table.answers[UNION] == table.gold)[off_mask].mean())
    assert off.drift is not None
    assert off.drift.share.value == find(rows, UNION, "task", "existence").drift.share.value  # type: ignore[union-attr]


def test_p_are_adjusted_over_the_conditions_of_the_whole(rows: tuple[ConditionRow, ...]) -> None:
    whole = [row for row in rows if row.scope == "all"]
    assert tuple(row.p_difference_adjusted for row in whole) == adjust([row.p_difference for row in whole], "holm")
    assert whole[0].p_difference is None
    assert all(row.p_difference_adjusted is None for row in rows if row.scope != "all")


def test_the_baseline_is_compared_with_nothing(rows: tuple[ConditionRow, ...]) -> None:
    row = find(rows, BASELINE, "all")
    empty = {name for name, value in row.model_dump().items() if value is None}
    assert {"difference", "drift", "mcnemar", "p_difference", "drift_above_noise_floor", "mean_margin_change"} <= empty
    assert row.accuracy.value is not None


def test_drift_above_the_floor_of_the_same_items(rows: tuple[ConditionRow, ...]) -> None:
    for scope, task, floor in (("all", None, 4 / 72), ("task", "counting", 4 / 24), ("task", "logic", 0)):
        row = find(rows, UNION, scope, task)
        assert row.drift is not None
        assert row.drift.share.value is not None
        assert row.drift_above_noise_floor == pytest.approx(row.drift.share.value - floor)


def test_readings_are_means_of_what_is_there(table: AnswerArrays, readings: dict[str, ReadingArrays]) -> None:
    own, n = readings[UNION], len(table.item_ids)
    holes = own.kl_options.copy()
    holes[::2] = np.nan
    nothing = np.full(n, np.nan)
    changed = {**readings, UNION: dataclasses.replace(own, kl_options=holes, kl_vocab=nothing)}
    row = find(condition_rows(table, changed, SPEC), UNION, "all")
    assert row.mean_kl_options == pytest.approx(own.kl_options[1::2].mean())
    assert row.mean_kl_vocab is None
    assert row.mean_margin_change == pytest.approx((own.margin - readings[BASELINE].margin).mean())
    assert row.amplification == pytest.approx(own.shift_last.mean() / own.shift_edited.mean())
    assert row.drift_above_noise_floor is None  # no null condition was given
