"""`vsc-eval harness` and `vsc-eval tasks`, and lm-eval's own command line with our task files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager

from vsc_eval.cli.main import main
from vsc_eval.cli.tasks import cells_of
from vsc_eval.errors import SpecError
from vsc_eval.lmeval.lm import VscHF, VscVllm
from vsc_eval.lmeval.models import MODELS, register_models
from vsc_eval.resources import tasks_dir


def rows(table: str) -> dict[tuple[str, str], tuple[float, str]]:
    """(task, metric) -> (value, standard error) of lm-eval's printed table."""
    found, task = {}, ""
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")][1:-1]
        if len(cells) == 9 and cells[6] not in ("Value", "") and not cells[6].startswith("-:"):
            task = cells[0] or task
            if cells[4] and not set(cells[6]) <= set("-:"):
                found[task, cells[4]] = (float(cells[6]), cells[8])
    return found


@pytest.fixture(autouse=True)
def _quick_and_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave lm-eval's own 14,000 tasks out, and its log handler, which would keep the stderr of one test."""
    monkeypatch.setattr("lm_eval.tasks.TaskManager", partial(TaskManager, include_defaults=False))
    monkeypatch.setattr("lm_eval.utils.setup_logging", lambda: None)


@pytest.fixture(scope="session")
def model_args(tiny_folder: Path, intervention_folder: Path) -> str:
    return f"pretrained={tiny_folder},intervention={intervention_folder},condition=counting+logic:scale=40"


def test_harness_prints_lm_evals_table(model_args: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--model", "vsc-hf", "--model_args", model_args, "--tasks", "vsc_counting_easy_paired"]
    arguments += ["--metadata", "vsc_n=8", "--output_path", str(tmp_path), "--log_samples"]
    assert main(["harness", "run", *arguments]) == 0
    printed = rows(capsys.readouterr().out)
    assert {metric for _, metric in printed} == {"acc", "acc_base", "acc_delta", "drift", "invalid"}
    (result,) = tmp_path.rglob("results_*.json")
    found = json.loads(result.read_text())["results"]["vsc_counting_easy_paired"]
    for (task, metric), (value, _) in printed.items():
        assert task == "vsc_counting_easy_paired"
        assert value == pytest.approx(found[f"{metric},none"], abs=1e-4)
    (samples,) = tmp_path.rglob("samples_*.jsonl")
    docs = [json.loads(line)["doc"] for line in samples.read_text().splitlines()]
    assert len({doc["id"] for doc in docs}) == 8


def test_harness_lists_and_validates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["harness", "ls", "groups"]) == 0
    printed = capsys.readouterr().out
    assert "|vsc_choice_paired " in printed
    assert main(["harness", "validate", "--tasks", "vsc,vsc_logic_hard_blind_grey"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "vsc_counting_easy", "--use_cache", "x"], "--use_cache"),
        (["--tasks", "vsc_counting_easy", "--cache_requests"], "--cache_requests"),
        (["--tasks", "vsc_countin_easy"], "vsc_countin_easy"),
        (["--tasks", "vsc_counting_easy", "--model", "vsc-fh"], "vsc-fh"),
        (["--tasks", "vsc_counting_easy", "--include_path", "nowhere"], "nowhere"),
        (["--tasks", "vsc,vsc_easy"], "vsc_views"),
        (["--tasks", "vsc_counting_easy", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--tasks", "vsc_counting_easy_paired"], "SET:scale=1"),
        (["--tasks", "vsc_counting_easy", "--metadata", "vsc_n=7"], "multiple of 4"),
        (["--tasks", "vsc_counting_easy", "--gen_kwargs", "do_sample=true"], "do_sample"),
    ],
)
def test_harness_errors(
    arguments: list[str], message: str, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--model", "vsc-hf", "--model_args", f"pretrained={tiny_folder}", *arguments]
    assert main(["harness", "run", *given]) == 2
    assert message in capsys.readouterr().err


def test_a_grid_is_refused_before_lm_eval_splits_it(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", "vsc-hf", "--model_args", "pretrained=vsc-tiny,condition=counting:scale=0,0.5,device=cpu"]
    assert main(["harness", "run", *given, "--tasks", "vsc_counting_easy"]) == 2
    assert "'counting:scale=0,0.5' is a grid of 2" in capsys.readouterr().err


def test_caches_in_a_config_file_are_refused_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("model: vsc-hf\ntasks: [vsc_counting_easy]\nuse_cache: somewhere\n")
    assert main(["harness", "run", "--config", str(config)]) == 2
    assert "--use_cache" in capsys.readouterr().err


def test_models_are_registered_beside_lm_evals_own() -> None:
    register_models()
    register_models()
    for name, target in MODELS.items():
        module, _, attribute = target.partition(":")
        assert get_model(name) is getattr(sys.modules[module], attribute)
    assert get_model("dummy").__name__ == "DummyLM"


def test_stock_lm_eval_finds_model_and_task_by_path(model_args: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lm_eval", "run", "--include_path", str(tasks_dir()), "--model", "vsc-hf"]
    command += ["--tasks", str(tasks_dir() / "vsc/paired/vsc_logic_easy_paired.yaml")]
    command += ["--model_args", model_args, "--metadata", "vsc_n=4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:]
    assert ("vsc_logic_easy_paired", "drift") in rows(done.stdout)


def test_tasks_list_names_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "list"]) == 0
    printed = capsys.readouterr().out
    for name in ("vsc_multi_hop_hard", "vsc_easy", "vsc_views", "choice_paired", "blind_grey"):
        assert name in printed


def test_tasks_show_writes_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "show", "vsc_counting", "--level", "hard", "--n", "2", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("--- test/counting/hard/00000/") == 2
    assert "Answer with the letter" in printed
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_tasks_export_writes_parquet(tmp_path: Path) -> None:
    assert main(["tasks", "export", "--out", str(tmp_path), "--n", "4"]) == 0
    assert len(list((tmp_path / "test").glob("*.parquet"))) == 21


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "vsc_countin"], "vsc_counting"),
        (["show", "nonsense"], "Tasks: vsc_counting"),
        (["show", "vsc_logic_hard", "--level", "easy"], "not of level easy"),
        (["show", "logic", "--n", "0"], "at least one"),
        (["export", "--out", "x", "--n", "3"], "multiple of 4"),
    ],
)
def test_tasks_errors(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_cells_of() -> None:
    assert cells_of("vsc_counting_hard") == cells_of("counting", "hard") == [("counting", "hard")]
    assert len(cells_of("multi_hop")) == 3


def test_arguments_that_are_not_ours_are_vllms_or_none_at_all() -> None:
    spec = VscVllm._spec({"model": "m", "backend": "vllm", "tensor_parallel_size": 2, "vsc_n": 4})
    assert (spec.backend_options, spec.model) == ({"tensor_parallel_size": 2}, "m")
    with pytest.raises(SpecError, match="vsc-hf has no argument tensor_parallel_size"):
        VscHF._spec({"model": "m", "backend": "hf", "tensor_parallel_size": 2})
