"""`vsc-eval run --model A --model B`: a folder each, one table, and a model that fails loses nothing of the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vsc_eval.cli.main import main
from vsc_eval.sweeps.sweep import model_folders


def test_folders_are_named_like_the_models_and_told_apart() -> None:
    out = Path("out")
    assert model_folders(["vsc-tiny", "Qwen/Qwen3-VL-2B"], out) == {
        "vsc-tiny": out / "vsc-tiny",
        "Qwen/Qwen3-VL-2B": out / "Qwen3-VL-2B",
    }
    alike = model_folders(["a/tiny", "b/tiny", "tiny"], out)
    assert len(set(alike.values())) == 3
    assert all(folder.parent == out for folder in alike.values())


def test_several_models_in_one_command(
    tiny_folder: Path, intervention_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, broken = tmp_path / "other", tmp_path / "broken"
    shutil.copytree(tiny_folder, other)
    shutil.copytree(tiny_folder, broken)
    (broken / "model.safetensors").write_bytes(b"")
    out = tmp_path / "out"
    command = ["run", "--model", str(broken), "--model", str(tiny_folder), "-m", str(other), "--out", str(out)]
    command += ["--tasks", "vsc_counting_easy,vsc_logic_easy", "--n", "4", "--device", "cpu"]
    command += ["--intervention", str(intervention_folder), "--conditions", "counting:scale=0,0.5,1,logic"]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert f"error: {broken}: " in printed.err
    assert "2 models" in printed.out
    names = ["baseline", "counting:scale=0", "counting:scale=0.5", "counting:scale=1", "logic"]
    for model in (tiny_folder, other):
        results = json.loads((out / model.name / "results.json").read_text())
        assert [condition["name"] for condition in results["conditions"]] == names
    assert sorted(path.name for path in out.iterdir()) == ["other", "tiny"]
    assert main(command[:1] + command[3:]) == 0  # goes on with what is there


def test_a_model_named_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--model", "a", "--model", "a", "--out", str(tmp_path / "out")]) == 2
    assert "--model: one of a, a is named twice" in capsys.readouterr().err
