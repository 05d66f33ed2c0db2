"""Pairs and controls of small simulated studies, beside the same figures computed plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made import together, words_of

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.specs import BASELINE, EditSpec, parse_condition
from vsc_eval.stats import adjust, cluster_bootstrap, stream
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.significance import sign_flip
from vsc_eval.studies.analysis import against_controls, analyse, study_rows
from vsc_eval.studies.conditions import asked_condition, condition_name, control_name, swept_names
from vsc_eval.studies.simulate import Simulated, simulate
from vsc_eval.studies.spec import (
    ControlOptions,
    StatisticsOptions,
    StudySpec,
    SweepOptions,
)

TASKS = ("counting", "logic", "existence")
A, B, C = TASKS
EDIT = "scale=4"
ANY = EditSpec(kind="ablate")


def study(norm_match: str | None = "mean", **changes: object) -> StudySpec:
    return StudySpec.model_validate(
        {
            "tasks": TASKS,
            "sweep": SweepOptions(items_per_cell=16, edits=(EDIT,), norm_match=norm_match),
            "controls": ControlOptions(items_per_cell=8, draws=4),
            "statistics": StatisticsOptions(draws=300, permutations=500),
            "verdict": VerdictRule(control_alpha=0.2),
            **changes,
        }
    )


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return simulate(study(), stream(0, "test"), planted={(A, C): 0.4})


def pair_rows(table: AnswerTable, spec: StudySpec) -> tuple[InteractionRow, ...]:
    return analyse(table, None, spec)[0]


def find(rows: tuple[InteractionRow, ...], pair: tuple[str, str], form: str = "raw") -> InteractionRow:
    (row,) = [row for row in rows if row.parts == pair and row.form == form]
    return row


def columns(table: AnswerTable, *conditions: str) -> tuple[np.ndarray, np.ndarray]:
    """Changed and gained, [conditions, items] each, written out."""
    base, gold = words_of(table, BASELINE), table.column("gold")
    changed = [(words_of(table, name) != base).astype(float) for name in conditions]
    gain = [(words_of(table, name) == gold).astype(float) - (base == gold) for name in conditions]
    return np.array(changed), np.array(gain)


def test_raw_rows_against_plain_figures(simulated: Simulated) -> None:
    spec, table = study(), simulated.table
    rows = pair_rows(table, spec)
    assert [(row.parts, row.form) for row in rows] == [
        (pair, form) for form in ("raw", "norm_matched") for pair in ((A, B), (A, C), (B, C))
    ]
    row, parts = find(rows, (A, B)), (f"{A}:{EDIT}", f"{B}:{EDIT}", f"{A}+{B}:{EDIT}")
    assert row.condition == parts[2]
    changed, gain = columns(table, *parts)
    interaction, gained = changed[2] - changed[0] - changed[1], gain[2] - gain[0] - gain[1]
    rng = stream(spec.seed, "study", "pairs", "bootstrap")
    expected = cluster_bootstrap(interaction, table.clusters, rng, draws=300)
    assert row.drift_interaction.value == pytest.approx(expected.value)
    assert row.drift_interaction.low == pytest.approx(expected.low)
    assert row.drift_interaction.high == pytest.approx(expected.high)
    assert row.accuracy_interaction.value == pytest.approx(gained.mean())
    a, b, union = changed.mean(axis=1)
    assert row.drift_bliss is not None
    assert row.drift_bliss.value == pytest.approx(union - (a + b - a * b))
    assert (row.drift.value, row.difference.value) == pytest.approx((union, gain[2].mean()))
    flips = stream(spec.seed, "study", "pairs", "sign flips")
    p = sign_flip([interaction, gained], table.clusters, flips, draws=500)
    assert (row.p_drift, row.p_accuracy) == p
    assert row.detectable_drift == pytest.approx(detectable_differences([interaction], table.clusters)[0])
    assert (row.n, row.n_clusters) == (144, 36)


def test_p_are_adjusted_over_pairs_and_outcomes_of_a_form(simulated: Simulated) -> None:
    rows = [row for row in pair_rows(simulated.table, study()) if row.form == "raw"]
    expected = adjust([row.p_drift for row in rows] + [row.p_accuracy for row in rows], "holm")
    assert tuple(row.p_drift_adjusted for row in rows) == expected[:3]
    assert tuple(row.p_accuracy_adjusted for row in rows) == expected[3:]


def test_norm_matched_to_the_mean(simulated: Simulated) -> None:
    row = find(pair_rows(simulated.table, study()), (A, B), "norm_matched")
    changed, gain = columns(simulated.table, f"{A}:{EDIT}", f"{B}:{EDIT}", condition_name((A, B), EDIT, "mean"))
    assert row.drift_interaction.value == pytest.approx((changed[2] - changed[:2].mean(axis=0)).mean())
    assert row.accuracy_interaction.value == pytest.approx((gain[2] - gain[:2].mean(axis=0)).mean())
    assert row.drift_bliss is None


def test_norm_matched_to_the_larger() -> None:
    spec = study("max")
    table = simulate(spec, stream(1, "test"), planted={(A, B): 0.5}).table
    row = find(pair_rows(table, spec), (A, B), "norm_matched")
    changed, gain = columns(table, f"{A}:{EDIT}", f"{B}:{EDIT}", condition_name((A, B), EDIT, "max"))
    means, gains = changed.mean(axis=1), gain.mean(axis=1)
    assert row.drift_interaction.value == pytest.approx(means[2] - means[:2].max())
    assert row.accuracy_interaction.value == pytest.approx(gains[2] - gains[:2].min())
    flips = stream(spec.seed, "study", "pairs", "sign flips")
    over = sign_flip(changed[2] - changed[:2], table.clusters, flips, draws=500)
    assert row.drift_interaction.value > 0
    assert row.p_drift == max(p for p in over if p is not None)
    larger = int(means[1] > means[0])
    assert row.detectable_drift == pytest.approx(
        detectable_differences([changed[2] - changed[larger]], table.clusters)[0]
    )


def test_rows_do_not_depend_on_what_else_was_swept(simulated: Simulated) -> None:
    few = simulated.table.under([BASELINE, f"{A}:{EDIT}", f"{C}:{EDIT}", f"{A}+{C}:{EDIT}"])
    alone, among = pair_rows(few, study())[0], find(pair_rows(simulated.table, study()), (A, C))
    assert alone.drift_interaction == among.drift_interaction
    assert (alone.p_drift, alone.p_accuracy) == (among.p_drift, among.p_accuracy)


def test_other_edits_have_rows_but_no_verdict(simulated: Simulated) -> None:
    spec = study(sweep=SweepOptions(items_per_cell=16, edits=("ablate", EDIT), norm_match=None))
    raw = simulated.table.under([name for name in simulated.table.names if ":norm=" not in name])
    ablated = {name: name.replace(EDIT, "ablate") for name in raw.names}
    conditions = (raw.conditions[0], *(asked_condition(parse_condition(new, ANY)) for new in [*ablated.values()][1:]))
    again = replace(raw, conditions=conditions, main=replace(raw.main, names=tuple(ablated.values())))
    table = together(again, raw)
    rows = pair_rows(table, spec)
    assert [row.edit for row in rows] == ["ablate"] * 3 + [EDIT] * 3
    assert [row.verdict is None for row in rows] == [True] * 3 + [False] * 3
    assert rows[0].drift_interaction == rows[3].drift_interaction
    # All conditions of the sweep have rows on all scopes, and only the baseline on cells.
    found = study_rows(table, spec)
    assert list(dict.fromkeys(row.condition for row in found)) == swept_names(spec)
    scopes = [[row.scope for row in found if row.condition == name] for name in (BASELINE, f"{A}+{B}:{EDIT}")]
    assert scopes == [
        ["all", *["task"] * 3, *["level"] * 3, *["cell"] * 9],
        ["all", *["task"] * 3, *["level"] * 3, "on_target", "off_target"],
    ]


def test_controls_against_plain_figures(simulated: Simulated) -> None:
    spec, table = study(), simulated.controls
    assert table is not None
    tests = against_controls(simulated.table, table, spec)
    assert len(tests) == 3 * 2 * (3 + 3 + 3)
    shared = [item.item_id for item in table.items]
    on_shared = simulated.table.only(np.isin([item.item_id for item in simulated.table.items], shared))

    def interaction(table: AnswerTable, single_a: str, single_b: str, union: str) -> tuple[float, float]:
        changed, gain = columns(table, single_a, single_b, union)
        drift, gained = ((x[2] - x[0] - x[1]).mean() for x in (changed, gain))
        return float(drift), float(gained)

    kind = "permuted_labels"
    real = interaction(on_shared, f"{A}:{EDIT}", f"{C}:{EDIT}", f"{A}+{C}:{EDIT}")
    draws = [
        interaction(
            table,
            *(control_name((task,), kind, d, EDIT) for task in (A, C)),
            control_name((A, C), kind, d, EDIT),
        )
        for d in range(4)
    ]
    for place, outcome in enumerate(("drift", "accuracy")):
        sign = 1 if outcome == "drift" else -1
        (test,) = [t for t in tests if (t.kind, t.outcome, t.effect, t.sets) == (kind, outcome, "interaction", (A, C))]
        drawn = np.array([draw[place] for draw in draws])
        assert test.value == pytest.approx(real[place])
        assert test.draws == pytest.approx(drawn)
        assert test.p == (1 + np.sum(sign * drawn >= sign * real[place] - 1e-9)) / 5
        assert test.p_family is not None
        assert test.p_family >= test.p
        assert test.reason is None
    single = next(t for t in tests if t.effect == "single" and t.outcome == "accuracy" and t.sets == (B,))
    assert single.value == pytest.approx(columns(on_shared, f"{B}:{EDIT}")[1].mean())
    assert single.p_family is None


def test_planted_interference_is_said_and_nothing_else(simulated: Simulated) -> None:
    rows, controls = analyse(simulated.table, simulated.controls, study())
    assert find(rows, (A, C)).verdict == "interference"
    assert {find(rows, pair).verdict for pair in ((A, B), (B, C))} <= {"none", "not enough evidence"}
    assert find(rows, (A, C), "norm_matched").verdict == "interference"
    extreme = [test for test in controls if test.effect == "interaction" and test.sets == (A, C)]
    assert {test.p_family for test in extreme} == {1 / 5}


def test_a_study_without_controls_finds_no_interference(simulated: Simulated) -> None:
    rows, controls = analyse(simulated.table, None, study())
    assert controls == ()
    row = find(rows, (A, C))
    assert row.verdict == "not enough evidence"
    assert row.decided_by is not None
    assert "no permuted_labels were run for it" in row.decided_by
    free = study(verdict=VerdictRule(control_kinds=()))
    assert find(analyse(simulated.table, None, free)[0], (A, C)).verdict == "interference"


def lacking(table: AnswerTable, *gone: str) -> AnswerTable:
    return table.under([name for name in table.names if not any(text in name for text in gone)])


def interaction_test(tests: tuple[ControlTest, ...], pair: tuple[str, str], kind: str = "random_sets") -> ControlTest:
    return next(t for t in tests if t.effect == "interaction" and t.sets == pair and t.kind == kind)


def test_excluded_draws_do_not_count(simulated: Simulated) -> None:
    table = simulated.controls
    assert table is not None
    whole = against_controls(simulated.table, table, study())
    tests = against_controls(simulated.table, lacking(table, f"{A}.random.02:"), study())
    test, untouched = interaction_test(tests, (A, B)), interaction_test(tests, (B, C))
    assert test.draws == tuple(x for d, x in enumerate(interaction_test(whole, (A, B)).draws) if d != 2)
    assert test.reason == "1 of 4 draws were excluded"
    assert untouched.draws == interaction_test(whole, (B, C)).draws
    # The family of (B, C) has all pairs of a draw, so one that lacks (A, B) is out of it too.
    assert untouched.p_family is not None
    assert round(untouched.p_family * 4, 9) in (1, 2, 3, 4)
    assert interaction_test(tests, (A, B), "permuted_labels") == interaction_test(whole, (A, B), "permuted_labels")


def test_too_few_draws_have_no_family(simulated: Simulated) -> None:
    table = simulated.controls
    assert table is not None
    few = lacking(table, *(f"{A}.random.{draw:02d}" for draw in (1, 2, 3)))
    tests = against_controls(simulated.table, few, study())
    test = interaction_test(tests, (A, B))
    assert (len(test.draws), test.p_family) == (1, None)
    assert (
        test.reason == "3 of 4 draws were excluded; fewer than two draws have all pairs, so there is no family-wise p"
    )
    gone = interaction_test(against_controls(simulated.table, lacking(table, ".random."), study()), (A, B))
    assert (gone.draws, gone.percentile, gone.p) == ((), None, None)
    none = study(controls=ControlOptions(items_per_cell=8, draws=0), verdict=VerdictRule(control_kinds=()))
    assert against_controls(simulated.table, table, none) == ()
