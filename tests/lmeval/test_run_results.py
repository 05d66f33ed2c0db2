"""Rows and tables of a sweep, from answers written by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from vsc_eval.analysis.interactions import interactions
from vsc_eval.analysis.results import Results, condition_table, markdown, print_tables
from vsc_eval.analysis.rows import rows
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, NormMatch
from vsc_eval.tables.table import Table

EDIT = EditSpec(kind="scale", value=2)
SPECS = (
    ConditionSpec(name=BASELINE),
    ConditionSpec(name="counting", sets=("counting",), edit=EDIT),
    ConditionSpec(name="logic", sets=("logic",), edit=EDIT),
    ConditionSpec(name="counting+logic", sets=("counting", "logic"), edit=EDIT),
)
STATISTICS = StatisticsSpec(draws=200, permutations=200)


def table(base: Sequence[str] = (), specs: Sequence[ConditionSpec] = SPECS) -> AnswerTable:
    """Two levels x two orbits of four of three tasks; gold A, B, C, D in each orbit. `base` are the first of the
    baseline's answers, and every condition but those of SPECS answers as the baseline does."""
    items = tuple(
        AskedItem(
            item_id=f"{task}/{level}/{orbit}/{letter}",
            task=task,
            level=level,
            cluster=f"{task}/{level}/{orbit}",
            gold=letter,
            gold_index="ABCD".index(letter),
            options=tuple("ABCD"),
        )
        for task in ("counting", "logic", "existence")
        for level in ("easy", "hard")
        for orbit in range(2)
        for letter in "ABCD"
    )
    # Easy all right, hard one of four.
    plain = np.array(["A" if item.level == "hard" else item.gold for item in items], dtype=object)
    flip = np.random.default_rng(0).random(len(items)) < 0.5
    tasks = np.array([item.task for item in items])
    answers = {"counting": plain.copy(), "logic": plain.copy(), BASELINE: plain.copy()}
    answers["counting"][(tasks == "counting") & flip] = "invalid"
    answers["logic"][(tasks == "logic") & flip] = "D"
    answers["counting+logic"] = np.where(answers["counting"] != plain, answers["counting"], answers["logic"])
    answers[BASELINE][: len(base)] = list(base)
    words = ("A", "B", "C", "D", "invalid")
    codes = np.array([[words.index(w) for w in answers.get(s.name, plain)] for s in specs], dtype=np.int32)
    edited = np.array([not spec.is_baseline for spec in specs])[:, None] & np.ones(len(items), dtype=bool)
    logprobs = np.where(edited[..., None], [-2.0, -1.0, -3.0, -4.0], [-1.0, -2.0, -3.0, -4.0]).astype(np.float32)
    figures = {"kl_options": 0.5, "kl_vocab": 0.25, "shift_edited": 0.1, "shift_last": 0.3}
    floats = {name: np.where(edited, value, np.nan) for name, value in figures.items()}
    main = Answers(tuple(s.name for s in specs), words, codes, codes, logprobs, floats)
    return AnswerTable(items, tuple(AskedCondition(s, targets=s.sets or None) for s in specs), main)


def results_of(answers: AnswerTable) -> Results:
    return Results(
        model="m",
        model_fingerprint="f",
        intervention="s",
        scoring="loglikelihood",
        seed=0,
        conditions=tuple(condition.spec for condition in answers.conditions),
        targets={condition.name: condition.targets for condition in answers.conditions},
        rows=rows(answers, STATISTICS),
        interactions=interactions(answers, STATISTICS),
    )


@pytest.fixture(scope="module")
def results() -> Results:
    return results_of(table())


def test_a_row_for_every_cell_and_sum(results: Results) -> None:
    scopes = [row.scope for row in results.rows if row.condition == BASELINE]
    assert scopes == ["all"] + ["task"] * 3 + ["level"] * 2 + ["cell"] * 6
    assert [row.scope for row in results.rows if row.condition == "logic"] == [*scopes, "on_target", "off_target"]


def test_baseline_accuracy_by_hand(results: Results) -> None:
    easy, hard = results.find(BASELINE, "level", None, "easy"), results.find(BASELINE, "level", None, "hard")
    assert easy is not None
    assert hard is not None
    assert easy.accuracy.value == 1
    assert easy.accuracy.low is None
    assert easy.accuracy.reason == "every orbit gives the same value"
    assert hard.accuracy.value == 0.25
    assert easy.difference is None
    assert easy.drift is None


def test_drift_is_on_target_only(results: Results) -> None:
    on, off = results.find("counting", "on_target"), results.find("counting", "off_target")
    assert on is not None
    assert off is not None
    assert on.drift is not None
    assert off.drift is not None
    assert (on.n, off.n) == (16, 32)
    assert on.drift.to_invalid == on.drift.n_changed > 0
    assert on.invalid_rate == on.drift.share.value
    assert off.drift.n_changed == 0
    assert off.drift.share.value == 0


def test_sums_add_up(results: Results) -> None:
    for name in (spec.name for spec in SPECS):
        own = [row for row in results.rows if row.condition == name]
        whole = next(row for row in own if row.scope == "all")
        for scope in ("cell", "task", "level"):
            parts = [row for row in own if row.scope == scope]
            assert sum(row.n for row in parts) == whole.n
            assert sum(row.n * (row.accuracy.value or 0) for row in parts) == pytest.approx(
                whole.n * (whole.accuracy.value or 0)
            )
            if whole.drift:
                assert sum(row.drift.n_changed for row in parts if row.drift) == whole.drift.n_changed
        if whole.drift and whole.difference and whole.mcnemar:
            drift = whole.drift
            assert drift.n_changed == (
                drift.right_to_wrong
                + drift.wrong_to_right
                + drift.wrong_to_other
                + drift.to_invalid
                + drift.from_invalid
            )
            gained = whole.mcnemar.only_condition_right - whole.mcnemar.only_baseline_right
            assert whole.difference.value == pytest.approx(gained / whole.n)


def test_means_of_readings(results: Results) -> None:
    row = results.find("counting", "all")
    assert row is not None
    assert (row.mean_kl_options, row.mean_kl_vocab) == (0.5, 0.25)
    assert row.amplification == pytest.approx(3)
    # The gold margin goes from (1, -1, -2, -3) to (-1, 1, -2, -3) for gold A, B, C, D.
    assert row.mean_margin_change == pytest.approx((-2 + 2 + 0 + 0) / 4)


def test_interaction_of_separate_edits_is_nothing(results: Results) -> None:
    (row,) = results.interactions
    assert (row.parts, row.part_conditions) == (("counting", "logic"),) * 2
    assert row.drift_interaction.value == pytest.approx(0)
    assert row.accuracy_interaction.value == pytest.approx(0)


def test_a_union_held_to_the_size_of_its_parts_is_compared_with_them() -> None:
    matched = ConditionSpec(
        name="matched",
        sets=("counting", "logic"),
        edit=EDIT.model_copy(update={"norm_match": NormMatch(reference="mean")}),
    )
    other = ConditionSpec(name="other", sets=("counting", "logic"), edit=EditSpec(kind="ablate"))
    answers = table(specs=(*SPECS, matched, other))
    plain, held = interactions(answers, STATISTICS)
    assert [(row.condition, row.form) for row in (plain, held)] == [
        ("counting+logic", "raw"),
        ("matched", "norm_matched"),
    ]
    # It changes nothing, its parts do: the mean of their drift is what is missing, as the norm is their mean.
    shares = answers.changed(held.part_conditions).mean(axis=1)
    assert held.drift_interaction.value == pytest.approx(-shares.mean())
    assert held.drift_bliss is None


def test_unreadable_answers_are_in_the_main_table(results: Results) -> None:
    assert "inv %" not in markdown(results)

    def shown(n_invalid: int) -> Table:
        spoilt = results_of(table(["invalid"] * n_invalid))
        return condition_table(spoilt.model_copy(update={"scoring": "generate"}))

    few = shown(2)
    assert few.columns[2].head == "inv %"
    assert few.texts(few.rows[0])[:3] == [BASELINE, "58.3", "4.2"]
    assert not any("name no option" in note for note in few.notes)
    assert any("50.0% of the baseline's answers name no option" in note for note in shown(24).notes)


def test_on_and_off_target_carry_their_n(results: Results) -> None:
    found = condition_table(results)
    shown = {words[0]: words[-2:] for words in map(found.texts, found.rows)}
    assert shown[BASELINE] == ["–", "–"]
    assert shown["counting"][1] == "0.0 (32)"
    assert [cell.split()[1] for cell in shown["counting+logic"]] == ["(32)", "(16)"]


def test_intervals_are_named_by_what_is_shown(results: Results) -> None:
    (note, *_) = condition_table(results).notes
    assert "clustered by orbit" in note
    alone = results.model_copy(
        update={"conditions": SPECS[:1], "rows": tuple(r for r in results.rows if r.condition == BASELINE)}
    )
    assert "Intervals" not in condition_table(alone).notes[0]


def test_names_are_shown_as_they_are_and_do_nothing(results: Results) -> None:
    renamed = results.model_copy(update={"model": "runs/[bold]/m\x1b[2J\n<img src=x onerror=y>"})
    file = io.StringIO()
    print_tables(renamed, Console(file=file, width=160))
    assert "runs/[bold]/m␛[2J <img src=x onerror=y>: 48 items" in file.getvalue()
    text = markdown(renamed)
    assert "\x1b" not in text
    assert "<img" not in text
    assert text.splitlines()[1] == ""


def test_results_round_trip_and_repeat(results: Results) -> None:
    assert Results.model_validate_json(results.model_dump_json()) == results
    assert rows(table(), STATISTICS) == results.rows


def test_tables_show_every_condition(results: Results) -> None:
    text = markdown(results)
    for name in (spec.name for spec in SPECS):
        assert f"| `{name}` |" in text
    assert "| `counting` | 100.0 | 25.0 | 62.5 |" in text
    console = Console(record=True, width=160)
    print_tables(results, console)
    shown = console.export_text()
    assert "counting+logic" in shown
    assert "Bliss" in shown
