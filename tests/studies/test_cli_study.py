"""The command `vsc-eval study`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsc_eval.cli.main import main
from vsc_eval.cli.study import STAGE_NAMES
from vsc_eval.resources import interventions_dir
from vsc_eval.specs import load_yaml_spec, save_yaml_spec
from vsc_eval.studies import run
from vsc_eval.studies.spec import StudySpec


@pytest.fixture
def spec_file(spec: StudySpec, tmp_path: Path) -> Path:
    save_yaml_spec(tmp_path / "spec.yaml", spec)
    return tmp_path / "spec.yaml"


def test_the_command_knows_every_stage() -> None:
    assert tuple(stage.name for stage in run.STAGES) == STAGE_NAMES
    for place, stage in enumerate(run.STAGES):
        assert set(stage.needs) <= set(run.STAGES[:place])


def test_every_setting_belongs_to_a_stage() -> None:
    """A setting that no stage depends on could be changed in a finished folder without being noticed."""
    from vsc_eval.studies.study import MODEL_KEYS

    known = {key for stage in run.STAGES for key in (*MODEL_KEYS, *stage.settings)}
    assert set(StudySpec(model="m", backend="vllm").identity()) - {"schema_version"} == known


def test_a_finished_study_prints_one_page(spec_file: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(spec_file), "--out", str(finished)]) == 0
    printed = capsys.readouterr().out
    assert "counting+existence" in printed
    assert "Of 1 pair:" in printed
    assert "Smallest detectable drift interaction" in printed or "Noise floor" in printed
    assert "results.json" in printed
    assert len(printed.splitlines()) < 50


def test_one_stage_without_its_inputs(spec_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(spec_file), "--out", str(tmp_path / "new"), "--only", "sweep"]) == 2
    assert "`sweep` needs `select`" in (error := capsys.readouterr().err)
    assert "--until select" in error
    assert not (tmp_path / "new").exists()


def test_until_a_stage_then_only_the_next(spec_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "new")
    assert main(["study", str(spec_file), "--out", out, "--until", "probing"]) == 0
    assert "not concluded" in capsys.readouterr().out
    assert main(["study", str(spec_file), "--out", out, "--only", "sae"]) == 0
    assert (tmp_path / "new" / "intervention" / "sae" / "cfg.json").exists()
    assert not (tmp_path / "new" / "intervention" / "intervention.yaml").exists()


def test_interrupted_says_how_to_go_on(
    spec_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_study", interrupted)
    assert main(["study", str(spec_file), "--out", str(tmp_path / "new")]) == 130
    assert "give the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sweeep: {}", "Did you mean 'sweep'?"),
        ("sweep: {edits: [scale=4, 'scal=4']}", "scal=4"),
        ("verdict: {edit: scale=3}", "none of sweep.edits"),
        ("sweep: {edits: [scale=4, scale=4.0]}", "named twice"),
        ("controls: {draws: 5}", "no pair could ever interfere"),
        ("probing: {items_per_cell: 6}", "wrong.yaml:1: probing.items_per_cell: 6 is no positive multiple of 4"),
        ("sae: {items_per_cell: 5}", "wrong.yaml:1: sae.items_per_cell: 5 is no positive multiple of 4"),
        ("sweep: {items_per_cell: 10}", "wrong.yaml:1: sweep.items_per_cell: 10 is no positive multiple of 4"),
        ("probing: {folds: 200}", "there are 105 orbits"),
    ],
)
def test_mistakes_in_the_spec(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    assert main(["study", str(file), "--out", str(tmp_path / "new")]) == 2
    assert said in capsys.readouterr().err


def test_the_shipped_spec_is_found_by_its_name_and_spells_out_the_defaults() -> None:
    from vsc_eval.cli.study import spec_file as found

    file = found("vsc-tiny")
    assert file == interventions_dir() / "vsc-tiny" / "study.yaml"
    assert load_yaml_spec(file, StudySpec) == StudySpec()


def test_grids_of_edits_are_written_out(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("sweep: {edits: ['scale=1,2,4', ablate]}")
    assert load_yaml_spec(file, StudySpec).sweep.edits == ("scale=1", "scale=2", "scale=4", "ablate")


def test_batch_size_can_be_given(spec_file: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(spec_file), "--out", str(finished), "--batch-size", "0"]) == 2
    assert "--batch-size: input should be" in capsys.readouterr().err
    assert main(["study", str(spec_file), "--out", str(finished), "--batch-size", "4"]) == 0
