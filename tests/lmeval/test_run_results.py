"""Rows and tables of a sweep, from answers written by hand."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from vsc_eval.analysis.results import Results, interaction_rows, result_rows
from vsc_eval.analysis.run_tables import condition_table, markdown, print_tables
from vsc_eval.answers.table import AnswerTable, ItemInfo
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, NormMatch

EDIT = EditSpec(kind="scale", value=2)
SPECS = (
    ConditionSpec(name=BASELINE),
    ConditionSpec(name="counting", sets=("counting",), edit=EDIT),
    ConditionSpec(name="logic", sets=("logic",), edit=EDIT),
    ConditionSpec(name="counting+logic", sets=("counting", "logic"), edit=EDIT),
)
TARGETS = {BASELINE: None, "counting": ("counting",), "logic": ("logic",), "counting+logic": ("counting", "logic")}


def table() -> AnswerTable:
    """Two tasks x two levels x two orbits of four; gold A, B, C, D in each orbit."""
    items = tuple(
        ItemInfo(
            f"{task}/{level}/{orbit}/{letter}", task, level, f"{task}/{level}/{orbit}", letter, "ABCD".index(letter)
        )
        for task in ("counting", "logic", "existence")
        for level in ("easy", "hard")
        for orbit in range(2)
        for letter in "ABCD"
    )
    base = tuple("A" if item.level == "hard" else item.gold for item in items)  # easy all right, hard one of four
    rng = np.random.default_rng(0)
    flip = rng.random(len(items)) < 0.5
    counting = tuple(
        "invalid" if item.task == "counting" and f else b for item, b, f in zip(items, base, flip, strict=True)
    )
    logic = tuple("D" if item.task == "logic" and f else b for item, b, f in zip(items, base, flip, strict=True))
    union = tuple(c if c != b else lo for c, lo, b in zip(counting, logic, base, strict=True))
    plain = Reading(option_logprobs=(-1.0, -2.0, -3.0, -4.0))
    edited = Reading(
        option_logprobs=(-2.0, -1.0, -3.0, -4.0), kl_options=0.5, kl_vocab=0.25, shift_edited=0.1, shift_last=0.3
    )
    return AnswerTable(
        items=items,
        answers={BASELINE: base, "counting": counting, "logic": logic, "counting+logic": union},
        readings={name: (plain if name == BASELINE else edited,) * len(items) for name in TARGETS},
    )


@pytest.fixture(scope="module")
def results() -> Results:
    answers = table()
    return Results(
        model="m",
        model_fingerprint="f",
        intervention="s",
        scoring="loglikelihood",
        seed=0,
        conditions=SPECS,
        targets=TARGETS,
        rows=result_rows(answers, "m", TARGETS, 0),
        interactions=interaction_rows(answers, "m", SPECS, 0),
    )


def test_a_row_for_every_cell_and_sum(results: Results) -> None:
    scopes = [row.scope for row in results.rows if row.condition == BASELINE]
    assert scopes == ["cell"] * 6 + ["task"] * 3 + ["level"] * 2 + ["all"]
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
    for name in TARGETS:
        rows = [row for row in results.rows if row.condition == name]
        whole = next(row for row in rows if row.scope == "all")
        for scope in ("cell", "task", "level"):
            parts = [row for row in rows if row.scope == scope]
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
    assert row.parts == ("counting", "logic")
    assert row.drift.value == pytest.approx(0)
    assert row.accuracy.value == pytest.approx(0)


def test_a_union_held_to_the_size_of_its_parts_is_compared_with_them() -> None:
    matched = ConditionSpec(
        name="matched",
        sets=("counting", "logic"),
        edit=EDIT.model_copy(update={"norm_match": NormMatch(reference="mean")}),
    )
    other = ConditionSpec(name="other", sets=("counting", "logic"), edit=EditSpec(kind="ablate"))
    answers = table()
    answers = dataclasses.replace(
        answers,
        answers={**answers.answers, "matched": answers.answers[BASELINE], "other": answers.answers[BASELINE]},
        readings={**answers.readings, "matched": answers.readings[BASELINE], "other": answers.readings[BASELINE]},
    )
    plain, held = interaction_rows(answers, "m", (*SPECS, matched, other), 0)
    assert (plain.union, held.union) == ("counting+logic", "matched")
    # It changes nothing, its parts do: their own drift is what is missing.
    shares = [np.mean(answers.answers_of(name) != answers.answers_of(BASELINE)) for name in held.parts]
    assert held.drift.value == pytest.approx(-sum(shares))


def test_unreadable_answers_are_in_the_main_table(results: Results) -> None:
    assert "inv %" not in markdown(results)
    spoilt = table()
    base = ("invalid", "invalid", *spoilt.answers[BASELINE][2:])
    spoilt = dataclasses.replace(spoilt, answers={**spoilt.answers, BASELINE: base})
    rows = result_rows(spoilt, "m", TARGETS, 0)
    shown = condition_table(results.model_copy(update={"scoring": "generate", "rows": rows}))
    assert shown.columns[2].head == "inv %"
    assert shown.texts(shown.rows[0])[:3] == [BASELINE, "58.3", "4.2"]
    assert not any("name no option" in note for note in shown.notes)
    base = ("invalid",) * 24 + base[24:]
    spoilt = dataclasses.replace(spoilt, answers={**spoilt.answers, BASELINE: base})
    rows = result_rows(spoilt, "m", TARGETS, 0)
    shown = condition_table(results.model_copy(update={"scoring": "generate", "rows": rows}))
    assert any("50.0% of the baseline's answers name no option" in note for note in shown.notes)


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
    loose = table()
    items = tuple(dataclasses.replace(item, cluster=item.item_id, cluster_kind="item") for item in loose.items)
    row = result_rows(dataclasses.replace(loose, items=items), "m", {BASELINE: None, "logic": ("logic",)}, 0)[-1]
    assert "Wilson" in row.accuracy.method
    assert row.drift is not None
    assert row.drift.share.method.endswith("clustered by item")


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
    assert result_rows(table(), "m", TARGETS, 0) == results.rows


def test_tables_show_every_condition(results: Results) -> None:
    text = markdown(results)
    for name in TARGETS:
        assert f"| `{name}` |" in text
    assert "| `counting` | 100.0 | 25.0 | 62.5 |" in text
    console = Console(record=True, width=160)
    print_tables(results, console)
    shown = console.export_text()
    assert "counting+logic" in shown
    assert "Bliss" in shown
