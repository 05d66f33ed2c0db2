"""Simulated studies, and what the calibration counts."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from made import with_answers

from vsc_eval.analysis.controls import CONTROL_KINDS
from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.cli import main as cli
from vsc_eval.specs import save_yaml_spec
from vsc_eval.stats import stream
from vsc_eval.studies.calibrate import Calibration, ScenarioResult, calibrate, judged, left_out_draws, rate, summarise
from vsc_eval.studies.conditions import condition_name, control_name
from vsc_eval.studies.simulate import WORLDS, World, matching_factor, simulate, study_items
from vsc_eval.studies.spec import ControlOptions, StatisticsOptions, StudySpec, SweepOptions

TASKS = ("counting", "logic", "existence")
A, B, C = TASKS
EDIT = "scale=4"
SPEC = StudySpec(
    tasks=TASKS,
    sweep=SweepOptions(items_per_cell=12, edits=(EDIT,)),
    controls=ControlOptions(items_per_cell=8, draws=4),
    statistics=StatisticsOptions(draws=100, permutations=200),
    verdict=VerdictRule(control_alpha=0.2),
)


def test_items_are_orbits_of_the_study_s_sizes() -> None:
    items = study_items(SPEC)
    assert len({item.item_id for item in items}) == len(items) == 108
    for _, orbit in groupby(items, key=lambda item: item.cluster):
        members = list(orbit)
        assert [item.gold_index for item in members] == [0, 1, 2, 3]
        assert len({(item.task, item.level) for item in members}) == 1


def test_tables_are_those_of_a_sweep_and_its_controls() -> None:
    simulated = simulate(SPEC, stream(0))
    table, controls = simulated.table, simulated.controls
    assert controls is not None
    assert (len(table.items), len(controls.items)) == (108, 72)
    assert len(table.names) == 1 + 3 + 2 * 3
    assert len(controls.names) == 1 + 3 * 4 * (3 + 3)
    shared = np.isin([item.item_id for item in table.items], [item.item_id for item in controls.items])
    assert (table.main.answer[0][shared] == controls.main.answer[0]).all()
    assert {(c.control_kind, c.draw) for c in controls.conditions[1:]} == {
        (k, d) for k in CONTROL_KINDS for d in range(4)
    }


def test_strength_zero_changes_nothing() -> None:
    table = simulate(SPEC, stream(0), real_strength=0).table
    assert not table.changed(table.names).any()
    noisy = simulate(SPEC, stream(0), real_strength=0, world=World(noise=0.2)).table
    drift = noisy.changed(noisy.names[1:]).mean()
    assert drift == pytest.approx(0.2, abs=0.06)


def test_planted_items_are_put_wrong_and_nothing_else_changes() -> None:
    plain, hit = simulate(SPEC, stream(0)), simulate(SPEC, stream(0), planted={(A, B): 0.5})
    union = condition_name((A, B), EDIT)
    for name in plain.table.names:
        if not name.startswith(union):
            assert (plain.table.codes([name]) == hit.table.codes([name])).all()
    moved = plain.table.codes([union]) != hit.table.codes([union])
    assert 0.2 < moved.mean() < 0.7
    assert plain.table.right([union])[moved].all()


def test_worlds_differ_in_what_unions_do_by_nature() -> None:
    """Neither is additive: that is what the controls are for."""
    spec, interaction = SPEC.model_copy(update={"tasks": ("counting", "logic", "existence", "comparison")}), {}
    for world in WORLDS:
        found = []
        for draw in range(6):
            table = simulate(spec, stream(draw), world=WORLDS[world]).table
            for a, b in spec.pairs:
                parts = [condition_name(sets, EDIT) for sets in ((a,), (b,), (a, b))]
                x, y, both = table.changed(parts).mean(axis=1)
                found.append(both - x - y)
        interaction[world] = float(np.mean(found))
    assert interaction["saturating"] < 0 < interaction["threshold"]


def test_norm_matching_gives_the_norm_that_it_names() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 10, 4)).astype(np.float32)
    norms = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    for match, expected in (("mean", np.mean(norms, axis=0)), ("max", np.max(norms, axis=0))):
        matched = (a + b) * matching_factor(a, b, match)
        np.testing.assert_allclose(np.linalg.norm(matched, axis=1), expected, rtol=1e-5)
    assert (matching_factor(a, -a, "mean") == 0).all()


def test_the_same_seed_gives_the_same_calibration_whatever_else_is_tried() -> None:
    both = calibrate(SPEC, repetitions=2, sizes=(0.2, 0.5))
    assert both == calibrate(SPEC, repetitions=2, sizes=(0.2, 0.5))
    one = calibrate(SPEC, repetitions=2, sizes=(0.5,))
    assert one.scenarios[-1] == both.scenarios[-1]
    assert Calibration.model_validate_json(both.model_dump_json()) == both


def test_a_large_planted_interference_is_found_and_zero_strength_is_not() -> None:
    heard: list[tuple[str, int, int]] = []
    found = calibrate(SPEC, repetitions=8, sizes=(0.6,), progress=lambda *args: heard.append(args))
    zero, planted = found.scenarios[0], found.scenarios[-1]
    assert (zero.scenario, zero.false_per_study.count, zero.by_sign_flip.count) == ("zero", 0, 0)
    assert planted.found is not None
    assert planted.found.value == 1
    assert planted.accuracy_interaction is not None
    assert planted.accuracy_interaction < -0.3
    assert found.powerful_from == 0.6
    assert heard[-1] == ("planted 0.6", 8, 8)
    assert len(heard) == 8 * 5


def test_comparison_with_permuted_labels_is_as_rarely_false_as_it_says() -> None:
    """Sets drawn as those of permuted labels are, beside four such draws: 1 in 5, and the whole rule more rarely."""
    spec = SPEC.model_copy(update={"sweep": SPEC.sweep.model_copy(update={"norm_match": None})})
    studies = []
    for draw in range(150):
        simulated = simulate(spec, stream(draw, "null"), world=WORLDS["threshold"])
        studies.append(judged(simulated.table, simulated.controls, spec))
    result = summarise("permuted", "threshold", None, studies)
    assert result.by_permuted.low <= 0.2
    assert result.by_permuted.count > 0
    assert result.false_per_study.count <= result.by_permuted.count


def scenario(planted: float | None, found: int, false: int = 0) -> ScenarioResult:
    none = rate([False] * 100)
    return ScenarioResult(
        scenario="permuted" if planted is None else "planted",
        world="saturating",
        planted=planted,
        drift_interaction=None,
        accuracy_interaction=None,
        false_per_study=rate([True] * false + [False] * (100 - false)),
        false_per_pair=0,
        by_sign_flip=none,
        by_permuted=none,
        found=None if planted is None else rate([True] * found + [False] * (100 - found)),
        denied=None,
    )


def calibration(*scenarios: ScenarioResult) -> Calibration:
    return Calibration(
        repetitions=100,
        seed=0,
        n_items=1,
        n_control_items=1,
        n_pairs=1,
        control_draws=1,
        bootstrap_draws=1,
        permutations=1,
        scenarios=scenarios,
    )


def test_bars() -> None:
    assert calibration(scenario(None, 0, false=5)).calibrated
    assert not calibration(scenario(None, 0, false=6)).calibrated
    sizes = (scenario(0.1, 95), scenario(0.2, 89), scenario(0.3, 90), scenario(0.4, 100))
    assert calibration(*sizes).powerful_from == 0.3  # 0.1 was found by luck: 0.2 was not
    assert calibration(*sizes[:2]).powerful_from is None
    share = rate([True, False, False, False])
    assert (share.count, share.n, share.value) == (1, 4, 0.25)
    assert share.low < 0.25 < share.high


def test_leaving_out_draws_of_a_study() -> None:
    """With interference planted in the real sets alone, no draw interferes; planted in a draw, that draw does."""
    table = simulate(SPEC, stream(0), planted={(A, B): 0.6}).controls
    assert table is not None
    assert [study.n_false for study in left_out_draws(table, SPEC)] == [0, 0, 0, 0]
    name = control_name((A, C), "permuted_labels", 2, EDIT)
    planted = with_answers(table, {name: ["BCDA"["ABCD".index(item.gold)] for item in table.items]})
    lenient = SPEC.model_copy(update={"verdict": SPEC.verdict.model_copy(update={"control_alpha": 0.25})})
    studies = list(left_out_draws(planted, lenient))
    assert [study.n_false for study in studies] == [0, 0, 1, 0]
    assert [study.n_innocent for study in studies] == [3] * 4
    lacking = planted.under([key for key in planted.names if key != name])
    assert len(list(left_out_draws(lacking, lenient))) == 3


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, out = tmp_path / "study.yaml", tmp_path / "calibration.json"
    save_yaml_spec(spec, SPEC)
    code = cli.main(["calibrate", str(spec), "--repetitions", "20", "--sizes", "0.6", "--out", str(out)])
    printed = capsys.readouterr().out
    found = Calibration.model_validate(json.loads(out.read_text()))
    assert code == (0 if found.calibrated and found.powerful_from else 1)
    assert "n = 108 items, 72 of them with controls; 3 pairs" in " ".join(printed.split())
    assert "False verdicts: at most" in printed
    assert found.scenarios[-1].planted == 0.6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repetitions", "5"], "--repetitions is 5"),
        (["--sizes", "0.2", "20"], "20 is no share"),
        (["--study", "nowhere"], "no finished study"),
        (["x.yaml", "--study", "nowhere"], "a spec of its own"),
    ],
)
def test_command_line_refuses(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["calibrate", *arguments]) == 2
    assert words in capsys.readouterr().err
