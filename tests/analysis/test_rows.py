"""Rows of any grouping beside the same figures computed plainly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from made import cells_of, made_table, with_answers, words_of

from vsc_eval.analysis.noise_floor import OTHER_BATCHES, changed_without_cause, floor_rows
from vsc_eval.analysis.rows import Row, find_row, flips, rows
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.errors import SpecError
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.stats import adjust, bootstrap_many, stream, wilson_interval
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.drift import PARTS
from vsc_eval.stats.significance import mcnemar, sign_flip

STATISTICS = StatisticsSpec(draws=200, permutations=300)
UNION, SINGLE = "counting+logic", "counting"


@pytest.fixture(scope="module")
def table() -> AnswerTable:
    """Some answers cannot be read; `logic` scales by 1, which does nothing."""
    made = made_table(6, seed=3)
    answers = {name: words_of(made, name).astype(object) for name in made.names}
    for place, name in enumerate(made.names):
        answers[name][place::9] = "invalid"
    answers["logic"] = answers[BASELINE].copy()
    answers["logic"][:4] = ["invalid", *answers[BASELINE][:3]]
    edit = made.conditions[2].spec.edit
    assert edit is not None
    nothing = ConditionSpec(name="logic", sets=("logic",), edit=edit.model_copy(update={"value": 1.0}))
    conditions = tuple(replace(c, spec=nothing) if c.name == "logic" else c for c in made.conditions)
    return with_answers(replace(made, conditions=conditions), answers)


@pytest.fixture(scope="module")
def found(table: AnswerTable) -> tuple[Row, ...]:
    return rows(table, STATISTICS)


def row_of(found: Sequence[Row], condition: str, scope: str = "all", task: str | None = None) -> Row:
    (row,) = [row for row in found if (row.condition, row.scope, row.task) == (condition, scope, task)]
    return row


def test_conditions_and_groups(table: AnswerTable, found: tuple[Row, ...]) -> None:
    assert list(dict.fromkeys(row.condition for row in found)) == list(table.names)
    sums = ["all", "task", "task", "level", "cell", "cell"]
    assert [row.scope for row in found if row.condition == BASELINE] == [*sums, *["category"] * 4]
    assert [row.scope for row in found if row.condition == SINGLE] == [
        *sums,
        "on_target",
        "off_target",
        *["category"] * 4,
    ]
    # Both tasks are on target: nothing is off.
    assert "off_target" not in {row.scope for row in found if row.condition == UNION}
    assert {row.role for row in found} == {"baseline", "single", "combined", "norm_matched"}
    assert {(row.edit, row.sets) for row in found if row.condition == UNION} == {("scale=4", ("counting", "logic"))}


def test_figures_of_a_condition(table: AnswerTable, found: tuple[Row, ...]) -> None:
    row, mask = row_of(found, UNION, "task", "logic"), table.column("task") == "logic"
    base, cond, gold = (a[mask] for a in (words_of(table, BASELINE), words_of(table, UNION), table.column("gold")))
    clusters, gain = table.clusters[mask], (cond == gold).astype(float) - (base == gold)
    rng = stream(0, "study", "conditions", "bootstrap", "task", "logic", "")
    right, difference, share = bootstrap_many([cond == gold, gain, cond != base], clusters, rng, draws=200)
    assert (row.accuracy, row.difference) == (right, difference)
    assert row.detectable_difference == pytest.approx(detectable_differences([gain], clusters)[0])
    assert row.mcnemar == mcnemar(*cells_of(base == gold, cond == gold))
    assert row.drift is not None
    assert row.drift.share == share
    valid = (cond != base) & (base != "invalid") & (cond != "invalid")
    counts = {
        "right_to_wrong": valid & (base == gold),
        "wrong_to_right": valid & (cond == gold),
        "wrong_to_other": valid & (base != gold) & (cond != gold),
        "to_invalid": (cond == "invalid") & (base != "invalid"),
        "from_invalid": (base == "invalid") & (cond != "invalid"),
    }
    assert {part: getattr(row.drift, part) for part in PARTS} == {k: int(v.sum()) for k, v in counts.items()}
    assert row.drift.n_changed == int((cond != base).sum())
    assert row.invalid_rate == (cond == "invalid").mean()
    flipped = stream(0, "study", "conditions", "sign flips", "task", "logic", "")
    assert row.p_difference == sign_flip([gain], clusters, flipped, draws=300)[0]
    assert (row.n, row.n_clusters) == (24, 6)


def test_target_groups_are_the_tasks_of_the_sets(found: tuple[Row, ...]) -> None:
    on, off = row_of(found, SINGLE, "on_target"), row_of(found, SINGLE, "off_target")
    assert on.drift is not None
    assert off.drift is not None
    tasks = [row_of(found, SINGLE, "task", task).drift for task in ("counting", "logic")]
    assert [on.drift.n_changed, off.drift.n_changed] == [drift.n_changed for drift in tasks if drift]


def test_p_are_adjusted_over_the_conditions_of_the_whole(found: tuple[Row, ...]) -> None:
    whole = [row for row in found if row.scope == "all"]
    assert tuple(row.p_difference_adjusted for row in whole) == adjust([row.p_difference for row in whole], "holm")
    assert whole[0].p_difference is None
    assert all(row.p_difference_adjusted is None for row in found if row.scope != "all")


def test_the_baseline_is_compared_with_nothing(found: tuple[Row, ...]) -> None:
    empty = {name for name, value in row_of(found, BASELINE).model_dump().items() if value is None}
    assert {"difference", "drift", "mcnemar", "p_difference", "drift_above_noise_floor", "mean_kl_options"} <= empty


def test_the_noise_floor_is_that_of_the_same_items(table: AnswerTable, found: tuple[Row, ...]) -> None:
    null = changed_without_cause(table)
    assert list(null) == ["logic"]
    for task in ("counting", "logic"):
        row, mask = row_of(found, UNION, "task", task), table.column("task") == task
        assert row.drift is not None
        assert row.drift.share.value is not None
        assert row.drift_above_noise_floor == pytest.approx(row.drift.share.value - null["logic"][mask].mean())
    # A second baseline counts too; its codes may be of other words.
    again = with_answers(table.under([BASELINE]), {BASELINE: ["Z", *words_of(table, BASELINE)[1:]]})
    twice = replace(table, passes={"other_batches": again.main})
    assert changed_without_cause(twice)[OTHER_BATCHES].tolist() == [True] + [False] * (len(table.items) - 1)
    rows_of_floor = floor_rows(twice, STATISTICS)
    assert [(row.name, row.n_changed) for row in rows_of_floor] == [
        (OTHER_BATCHES, 1),
        ("logic", int(null["logic"].sum())),
    ]
    assert rows_of_floor[0].max_logprob_difference == 0
    gap = np.abs(table.main.option_logprobs[2].astype(float) - table.main.option_logprobs[0]).max()
    assert rows_of_floor[1].max_logprob_difference == pytest.approx(gap)
    assert floor_rows(made_table(1), STATISTICS) == ()
    assert row_of(rows(made_table(1), STATISTICS), UNION).drift_above_noise_floor is None


def test_readings_are_means_of_what_is_there(table: AnswerTable) -> None:
    floats = {name: column.copy() for name, column in table.main.columns.items()}
    floats["kl_options"][3, ::2] = np.nan
    row = row_of(rows(replace(table, main=replace(table.main, columns=floats)), STATISTICS, by="all"), UNION)
    assert row.mean_kl_options == pytest.approx(floats["kl_options"][3, 1::2].mean())
    assert row.mean_kl_vocab is None
    logprobs, gold = table.main.option_logprobs.astype(float), [item.gold_index for item in table.items]
    margins = [
        [own[g] - max(x for place, x in enumerate(own) if place != g) for own, g in zip(part, gold, strict=True)]
        for part in logprobs[[0, 3]]
    ]
    assert row.mean_margin_change == pytest.approx(np.mean(margins[1]) - np.mean(margins[0]))
    assert row.amplification == pytest.approx(floats["shift_last"][3].mean() / floats["shift_edited"][3].mean())


def test_any_columns_are_combined(table: AnswerTable) -> None:
    by_two = rows(table, STATISTICS, by=[("task", "colour")])
    shown = {(row.task, row.by, row.category, row.n) for row in by_two}
    assert shown == {
        (task, "task, colour", f"{task}, {colour}", 12) for task in ("counting", "logic") for colour in ("red", "blue")
    }
    by_gold = rows(table, STATISTICS, by=[("gold",)])
    whole = row_of(rows(table, STATISTICS, by="all"), UNION)
    assert sum(row.drift.n_changed for row in by_gold if row.condition == UNION and row.drift) == (
        whole.drift.n_changed if whole.drift else None
    )
    with pytest.raises(SpecError, match="no column 'color'") as caught:
        rows(table, STATISTICS, by=[("color",)])
    assert "Did you mean 'colour'?" in caught.value.hint
    with pytest.raises(SpecError, match="no grouping 'tasks'") as caught:
        rows(table, STATISTICS, by="tasks")
    assert "Did you mean 'task'?" in caught.value.hint


def test_no_row_depends_on_what_else_is_asked(table: AnswerTable, found: tuple[Row, ...]) -> None:
    few = rows(table.under([BASELINE, UNION]), STATISTICS, by=["task"], null_changed=changed_without_cause(table))
    assert few == tuple(row for row in found if row.scope == "task" and row.condition in (BASELINE, UNION))


def test_complete_groups_are_right_if_all_their_items_are(table: AnswerTable) -> None:
    sizes = [5, *[4] * (len(table.items) - 1)]
    items = tuple(replace(i, group=i.cluster, group_size=size) for i, size in zip(table.items, sizes, strict=True))
    grouped = rows(replace(table, items=items), STATISTICS, by="group")
    cond, base, gold = words_of(table, UNION), words_of(table, BASELINE), table.column("gold")
    for task, first in (("counting", 4), ("logic", 24)):
        # The first group of all says that it has five items, and is not whole.
        kept = slice(first, 24 if task == "counting" else 48)
        whole, before = (a[kept].reshape(-1, 4) for a in (cond, base))
        unread = [(part == "invalid").any(axis=1) for part in (whole, before)]
        row = row_of(grouped, UNION, "group", task)
        assert row.n == len(whole)
        assert row.accuracy.value == pytest.approx((whole == gold[kept].reshape(-1, 4)).all(axis=1).mean())
        assert row.invalid_rate == unread[0].mean()
        assert row.drift is not None
        assert row.drift.n_changed == ((whole != before).any(axis=1) & ~(unread[0] & unread[1])).sum()


def test_independent_items_have_wilsons_interval(table: AnswerTable) -> None:
    items = tuple(replace(item, cluster=item.item_id, cluster_kind="item") for item in table.items)
    row = row_of(rows(replace(table, items=items), STATISTICS), UNION)
    assert row.accuracy == wilson_interval(int(table.right([UNION]).sum()), len(items))
    assert row.drift is not None
    assert row.drift.share.method.endswith("clustered by item")


def test_flips_are_the_changed_items(table: AnswerTable, found: tuple[Row, ...]) -> None:
    changed, row = flips(table, UNION), row_of(found, UNION)
    assert row.drift is not None
    assert len(changed) == row.drift.n_changed
    for part in PARTS:
        assert sum(flip.change == part for flip in changed) == getattr(row.drift, part)
    flip = next(flip for flip in changed if flip.change == "wrong_to_right")
    place = [item.item_id for item in table.items].index(flip.item_id)
    assert (flip.before, flip.after) == (words_of(table, BASELINE)[place], flip.gold)
    with pytest.raises(SpecError, match="no condition 'counting\\+logik'"):
        flips(table, "counting+logik")


def test_find_row(found: tuple[Row, ...]) -> None:
    assert find_row(found, UNION, "cell", "logic", "easy") == row_of(found, UNION, "cell", "logic")
    assert find_row(found, "nothing") is None
