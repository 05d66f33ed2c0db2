"""A whole study on an untrained model, from the spec to results.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made import words_of
from rich.console import Console

from vsc_eval.analysis.noise_floor import OTHER_BATCHES
from vsc_eval.answers.finished_run import FinishedRun, read_run
from vsc_eval.answers.parquet import read_table
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.specs import load_yaml_spec
from vsc_eval.studies.conditions import CONTROLS_FILE, ControlSets, control_name
from vsc_eval.studies.records import read_results
from vsc_eval.studies.run import run_study
from vsc_eval.studies.spec import StudySpec
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep


@pytest.fixture(scope="module")
def swept(finished: Path) -> FinishedRun:
    return read_run(finished)


def test_results_hold_every_stage(finished: Path, spec: StudySpec) -> None:
    results = read_results(finished)
    assert results.spec == spec
    assert (results.n_items, results.n_control_items) == (48, 24)
    assert results.layer == results.probing.layer == load_intervention(finished / "intervention").spec.layer
    assert [s.task for s in results.selection.sets] == list(spec.tasks)
    assert {row.name for row in results.floor} == {OTHER_BATCHES, "counting:scale=1", "existence:scale=1"}
    assert {(pair.edit, pair.form) for pair in results.pairs} == {
        (edit, form) for edit in spec.sweep.edits for form in ("raw", "norm_matched")
    }
    assert [pair.verdict for pair in results.pairs if pair.edit == "ablate"] == [None, None]
    assert all(pair.verdict for pair in results.pairs if pair.edit == "scale=40")
    assert {test.kind for test in results.controls} == set(spec.controls.kinds)
    assert all(len(test.draws) == 2 for test in results.controls)
    assert results.excluded == ()


def test_figures_are_those_of_the_answers(finished: Path, swept: FinishedRun) -> None:
    results = read_results(finished)
    table = swept.table
    condition = "counting+existence:scale=40"
    row = results.row(condition)
    assert row is not None
    assert row.drift is not None
    assert row.drift.n_changed == (words_of(table, condition) != words_of(table, "baseline")).sum() > 0
    assert row.accuracy.value == pytest.approx(np.mean(words_of(table, condition) == table.column("gold")))
    pair = next(pair for pair in results.pairs if pair.condition == condition)

    def drift(name: str) -> float:
        return float(np.mean(words_of(table, name) != words_of(table, "baseline")))

    expected = drift(condition) - drift("counting:scale=40") - drift("existence:scale=40")
    assert pair.drift_interaction.value == pytest.approx(expected)


def test_nothing_changes_where_nothing_is_done(finished: Path) -> None:
    for row in read_results(finished).floor:
        assert row.n_changed == 0
        # Other batches have other padding, so sums run in another order; an edit of strength zero is exactly nothing.
        assert row.max_logprob_difference == 0 or (row.name == OTHER_BATCHES and row.max_logprob_difference < 1e-4)


def test_sweep_answers_as_a_run_does(
    finished: Path, swept: FinishedRun, spec: StudySpec, tmp_path: Path, console: Console
) -> None:
    conditions = swept.table.names
    assert len(conditions) == 1 + 2 + 2 * (2 + 1 + 1)
    run_spec = RunSpec(
        model=spec.model,
        intervention=str(finished / "intervention"),
        tasks=("vsc_counting", "vsc_existence"),
        conditions=conditions,
        n=spec.sweep.items_per_cell,
        batch_size=spec.batch_size,
    )
    run_sweep(run_spec, tmp_path / "run", console=console)
    ran = read_run(tmp_path / "run")
    assert ran.places.keys() == swept.places.keys()
    theirs = ran.table.only(np.array([ran.places[name] for name in swept.places], dtype=np.int32))
    assert swept.table.changed(conditions).any()
    for ours, other in zip(swept.table.items, theirs.items, strict=True):
        assert (other.prompt_hash, other.image_hash, other.options) == (ours.prompt_hash, ours.image_hash, ours.options)
        assert (other.gold, other.cluster, other.scoring) == (ours.gold, ours.cluster, ours.scoring)
    for name in conditions:
        assert (words_of(theirs, name) == words_of(swept.table, name)).all()
    np.testing.assert_allclose(
        theirs.main.option_logprobs[[theirs.main.rows[name] for name in conditions]],
        swept.table.main.option_logprobs,
        atol=1e-5,
    )


def test_control_conditions_answer_for_every_draw(finished: Path, spec: StudySpec) -> None:
    drawn = load_yaml_spec(finished / CONTROLS_FILE, ControlSets)
    assert drawn.failed == ()
    expected = {"baseline"}
    for kind in spec.controls.kinds:
        for draw in range(spec.controls.draws):
            expected |= {control_name((task,), kind, draw, "scale=40") for task in spec.tasks}
            expected |= {control_name(pair, kind, draw, "scale=40") for pair in spec.pairs}
    answered, real = read_table(finished, "controls"), read_table(finished)
    assert set(answered.names) == expected
    assert {(c.control_kind, c.draw) for c in answered.conditions[1:]} == {
        (kind, draw) for kind in spec.controls.kinds for draw in range(spec.controls.draws)
    }
    # Directions turn the edit and keep its size: the same norm at the edited layer, another answer distribution.
    columns = [real.items.index(item) for item in answered.items]
    turned, straight = "counting.direction.00:scale=40", "counting:scale=40"
    shift = answered.figures("shift_edited", [turned])[0]
    np.testing.assert_allclose(shift, real.figures("shift_edited", [straight])[0, columns], rtol=1e-4)
    logprobs = answered.main.option_logprobs[answered.main.rows[turned]]
    assert not np.allclose(logprobs, real.main.option_logprobs[real.main.rows[straight], columns])


def test_control_sets_replace_every_feature(finished: Path) -> None:
    intervention = load_intervention(finished / "intervention")
    real = {index for chosen in intervention.spec.sets for index in chosen.indices}
    for draw in load_yaml_spec(finished / CONTROLS_FILE, ControlSets).draws:
        assert (draw.direction_seed is not None) == (draw.kind == "random_directions") == (not draw.sets)
        if draw.kind == "random_sets":
            assert not real & {index for chosen in draw.sets for index in chosen.indices}
            assert [len(chosen.indices) for chosen in draw.sets] == [4, 4]


def test_results_name_no_time_and_no_machine(finished: Path) -> None:
    text = (finished / "results.json").read_text()
    document, local = ((finished / name).read_text() for name in ("study.yaml", "local.yaml"))
    for key in ("started", "machine", "seconds", "attempts"):
        assert key in local
        assert key not in document
        assert key not in json.loads(text)
    assert str(finished) not in text


def test_a_finished_study_is_only_read(finished: Path, spec: StudySpec, console: Console) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished.rglob("*") if file.is_file() and file.name != ".lock"}
    heard: list[str] = []
    results = run_study(spec, finished, console=console, watch=lambda what, done, total: heard.append(what))
    assert results == read_results(finished)
    assert heard == []
    assert before == {file: file.stat().st_mtime_ns for file in before}
