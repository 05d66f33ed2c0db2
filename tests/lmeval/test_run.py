"""`vsc-eval run` from end to end on a small untrained model, killed and resumed too."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from vsc_eval.analysis.results import Results
from vsc_eval.answers.parquet import read_table, table_files
from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import SpecError
from vsc_eval.files import file_hash
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sweeps import sweep as run_module
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep

# One process for the file: its runs share a finished folder.
pytestmark = pytest.mark.xdist_group("run")

CONDITIONS = ("counting", "logic", "counting+logic", "counting:scale=1")
TASKS = ("vsc_counting", "vsc_existence_easy")
N_ITEMS, N_READINGS = 4 * 8, 4 * 8 * 5
QUIET = Console(quiet=True)


def spec_of(model: Path, intervention: Path, **changes: object) -> RunSpec:
    values = {
        "model": str(model),
        "intervention": str(intervention),
        "tasks": TASKS,
        "conditions": CONDITIONS,
        "n": 8,
        "batch_size": 4,
        "dtype": "float32",
        "device": "cpu",
    }
    return RunSpec.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def spec(tiny_folder: Path, intervention_folder: Path) -> RunSpec:
    return spec_of(tiny_folder, intervention_folder)


@pytest.fixture(scope="module")
def finished(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    run_sweep(spec, out, console=QUIET)
    return out


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Readings that the engine computes, one entry for each call."""
    counts: list[int] = []
    original = Engine.read

    def counted(
        self: Engine,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition | None],
        settings: GenSettings,
        progress: None = None,
    ) -> list[list[Reading]]:
        counts.append(len(prompts) * len(conditions))
        return original(self, prompts, conditions, settings, progress)

    monkeypatch.setattr(Engine, "read", counted)
    return counts


def test_the_folder_holds_everything(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    parquet = {"answers.parquet", "items.parquet", "conditions.parquet"}
    texts = {"run.yaml", "local.yaml", "results.json", "results.md"}
    assert names == {"answers.sqlite", "lm_eval", ".lock", *parquet, *texts}
    folders = {path.name.split("-")[0] for path in (finished / "lm_eval").iterdir()}
    assert folders == {"baseline", "counting", "logic", "counting+logic", "counting_scale=1"}
    for folder in (finished / "lm_eval").iterdir():
        assert len(list(folder.glob("results_*.json"))) == 1
        assert len(list(folder.glob("samples_*.jsonl"))) == 4
    with AnswerStore(finished / "answers.sqlite") as store:
        assert len(store) == N_READINGS


def test_results_are_what_lm_eval_scored(finished: Path) -> None:
    results = Results.model_validate_json((finished / "results.json").read_text())
    assert [condition.name for condition in results.conditions] == ["baseline", *CONDITIONS]
    (file,) = (finished / "lm_eval" / "logic").glob("results_*.json")
    theirs = json.loads(file.read_text())
    assert theirs["config"]["model_args"]["condition"] == "logic"
    for level in ("easy", "medium", "hard"):
        row = results.find("logic", "cell", "counting", level)
        assert row is not None
        assert row.accuracy.value == pytest.approx(theirs["results"][f"vsc_counting_{level}_choice"]["acc,none"])
        assert (row.n, row.n_clusters) == (8, 2)


def test_items_are_written_with_what_was_asked_and_answered(finished: Path) -> None:
    stamp = yaml.safe_load((finished / "run.yaml").read_text())["files"]
    assert stamp == {name: hashlib.sha256((finished / name).read_bytes()).hexdigest() for name in table_files()}
    table = read_table(finished)
    assert table.names == ("baseline", *CONDITIONS)
    items = table.items
    assert len({item.item_id for item in items}) == len(items) == N_ITEMS
    assert len({item.image_hash for item in items}) == N_ITEMS
    assert len({item.prompt_hash for item in items}) == len({item.cluster for item in items}) == N_ITEMS // 4
    assert (items[0].scoring, items[0].max_new_tokens, items[0].stops) == ("loglikelihood", None, ())
    likeliest = table.main.option_logprobs.argmax(-1)
    for place, item in enumerate(items):
        answers = [table.main.vocabulary[code] for code in table.main.answer[:, place]]
        assert answers == [item.options[option] for option in likeliest[:, place]]
    results = Results.model_validate_json((finished / "results.json").read_text())
    row = results.find("logic", "all")
    assert row is not None
    assert row.accuracy.value == table.right(["logic"]).mean()


def test_edits_show_and_a_null_edit_does_not(finished: Path) -> None:
    results = Results.model_validate_json((finished / "results.json").read_text())
    strong, null = results.find("counting", "all"), results.find("counting:scale=1", "all")
    assert strong is not None
    assert strong.drift is not None
    assert strong.mean_kl_vocab is not None
    assert strong.mean_kl_vocab > 1e-3
    assert strong.mean_shift_edited is not None
    assert strong.mean_shift_edited > 0.1
    assert null is not None
    assert null.drift is not None
    assert null.drift.n_changed == 0
    assert null.mean_kl_vocab == 0
    assert null.mean_shift_last == 0
    assert null.difference is not None
    assert null.difference.value == 0


def test_on_and_off_target_follow_the_sets_tasks(finished: Path) -> None:
    results = Results.model_validate_json((finished / "results.json").read_text())
    assert results.targets["counting+logic"] == ("counting", "logic")
    on, off = results.find("counting", "on_target"), results.find("counting", "off_target")
    assert on is not None
    assert off is not None
    assert (on.n, off.n) == (24, 8)
    assert results.find("logic", "on_target") is None  # the run asks no logic items


def test_samples_name_pictures_by_their_pixels(finished: Path) -> None:
    file = next((finished / "lm_eval" / "baseline").glob("samples_vsc_existence_easy_choice_*.jsonl"))
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    visuals = {sample["arguments"]["gen_args_0"]["arg_2"]["visual"][0] for sample in samples}
    assert len(visuals) == 8
    assert all(visual.startswith("pixels:") for visual in visuals)


def test_run_yaml_says_what_was_run(finished: Path) -> None:
    document = yaml.safe_load((finished / "run.yaml").read_text())
    assert document["settings"]["n"] == 8
    assert document["settings"]["conditions"][3]["sets"] == ["counting", "logic"]
    assert document["hashes"]["conditions"]["baseline"] == "baseline"
    assert set(document["hashes"]["tasks"]) == {
        "vsc_counting_easy_choice",
        "vsc_counting_medium_choice",
        "vsc_counting_hard_choice",
        "vsc_existence_easy_choice",
    }
    assert document["files"] == {name: file_hash(finished / name) for name in table_files()}
    assert not {"attempts", "machine", "folder"} & document.keys()
    (attempt,) = yaml.safe_load((finished / "local.yaml").read_text())["attempts"]
    assert attempt["versions"]["lm_eval"]
    assert attempt["ended"] >= attempt["started"]


def test_a_finished_run_computes_nothing_again(spec: RunSpec, finished: Path, work: list[int]) -> None:
    before = (finished / "results.json").read_bytes()
    run_sweep(spec, finished, console=QUIET)
    assert work == []
    assert (finished / "results.json").read_bytes() == before
    assert len(list((finished / "lm_eval" / "logic").glob("results_*.json"))) == 1
    assert len(yaml.safe_load((finished / "local.yaml").read_text())["attempts"]) == 2


def test_kill_9_and_again_gives_the_same_and_computes_the_rest_only(
    spec: RunSpec, finished: Path, tmp_path: Path, work: list[int]
) -> None:
    out = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "vsc_eval.cli.main",
        "run",
        "--model",
        spec.model,
        "--intervention",
        str(spec.intervention),
    ]
    command += ["--tasks", ",".join(TASKS), "--conditions", ",".join(CONDITIONS), "--n", "8", "--batch-size", "4"]
    command += ["--dtype", "float32", "--device", "cpu", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while _stored(out / "answers.sqlite") == 0 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    stored = _stored(out / "answers.sqlite")
    assert 0 < stored < N_READINGS
    run_sweep(spec, out, console=QUIET)
    assert sum(work) == N_READINGS - stored
    for name in (*table_files(), "results.json", "results.md"):
        assert (out / name).read_bytes() == (finished / name).read_bytes()


def _stored(path: Path) -> int:
    """Rows of a store that another process may be writing; 0 while it is not there."""
    if not path.exists():
        return 0
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(db.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


@pytest.mark.parametrize("moment", ["store", "scoring", "results"])
def test_stopped_at_any_stage_it_goes_on_to_the_same_results(
    spec: RunSpec, finished: Path, tmp_path: Path, work: list[int], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    out, calls = tmp_path / "stopped", 0
    target, name = {
        "store": (AnswerStore, "put_many"),
        "scoring": (run_module, "score_condition"),
        "results": (run_module, "rows"),
    }[moment]
    original = getattr(target, name)

    def stopping(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == (1 if moment == "results" else 3):
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(target, name, stopping)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(spec, out, console=QUIET)
    first = sum(work)
    run_sweep(spec, out, console=QUIET)
    lost = 4 * 5 if moment == "store" else 0  # the batch that was computed and not yet committed
    assert sum(work) == N_READINGS + lost
    assert sum(work[:]) - first == N_READINGS - (first - lost)
    for name in (*table_files(), "results.json"):
        assert (out / name).read_bytes() == (finished / name).read_bytes()


def test_another_spec_is_refused_and_named(spec: RunSpec, finished: Path) -> None:
    before = (finished / "run.yaml").read_bytes()
    changed = spec.model_copy(update={"n": 12, "scoring": "generate"})
    with pytest.raises(SpecError, match=r"n: there 8, now 12\n  scoring: there 'loglikelihood', now 'generate'"):
        run_sweep(changed, finished, console=QUIET)
    assert (finished / "run.yaml").read_bytes() == before


def test_changed_weights_are_another_run(spec: RunSpec, finished: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((finished / "run.yaml").read_text())
    document["hashes"]["model_fingerprint"] = "0" * 16
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(SpecError, match="model_fingerprint: there '0000"):
        run_sweep(spec, tmp_path, console=QUIET)


def test_generated_answers(tiny_folder: Path, intervention_folder: Path, tmp_path: Path) -> None:
    spec = spec_of(
        tiny_folder,
        intervention_folder,
        scoring="generate",
        tasks=("vsc_logic_easy",),
        conditions=("logic",),
        max_new_tokens=2,
    )
    results = run_sweep(spec, tmp_path / "run", console=QUIET).results
    row = results.find("logic", "on_target")
    assert row is not None
    assert row.n == 8
    assert row.mean_kl_vocab is not None
    assert row.mean_kl_options is not None
    assert row.mean_kl_options > 0
    assert row.mean_margin_change is not None
    assert row.invalid_rate > 0  # an untrained model names no option
    table = read_table(tmp_path / "run")
    item = table.items[0]
    assert (item.scoring, item.max_new_tokens) == ("generate", 2)
    assert (table.main.columns["n_new_tokens"] == 2).all()
    assert all(isinstance(text, str) for text in table.main.columns["text"].ravel())
    (file,) = (tmp_path / "run" / "lm_eval" / "logic").glob("samples_*.jsonl")
    first = json.loads(file.read_text().splitlines()[0])
    arguments = first["arguments"]["gen_args_0"]["arg_1"]
    assert arguments["max_gen_toks"] == 2
    assert list(item.stops) == [stop for stop in arguments["until"] if stop]


def test_the_baseline_alone_needs_no_intervention(tiny_folder: Path, tmp_path: Path) -> None:
    spec = RunSpec(model=str(tiny_folder), tasks=("vsc_counting_easy",), n=4, device="cpu")
    results = run_sweep(spec, tmp_path / "run", console=QUIET).results
    assert results.intervention is None
    assert {row.scope for row in results.rows} == {"cell", "task", "level", "all"}
    assert results.interactions == ()


def test_limit_takes_the_first_items(tiny_folder: Path, tmp_path: Path) -> None:
    spec = RunSpec(model=str(tiny_folder), tasks=("vsc_counting_easy",), limit=2, device="cpu")
    results = run_sweep(spec, tmp_path / "run", console=QUIET).results
    assert [row.n for row in results.rows] == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("vsc_countin",)}, r"Unknown task 'vsc_countin'.*vsc_counting"),
        ({"tasks": ("vsc_counting_paired",), "scoring": "generate"}, r"asks each question 2 times"),
        ({"tasks": ("vsc_counting_choice",), "scoring": "generate"}, r"multiple_choice.*--scoring loglikelihood"),
        ({"tasks": ("vsc_counting_easy_blind_none",)}, r"generate_until.*--scoring generate"),
    ],
)
def test_tasks_that_do_not_fit_are_refused(
    tiny_folder: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    spec = RunSpec.model_validate({"model": str(tiny_folder), **changes})
    with pytest.raises(SpecError, match=message):
        run_sweep(spec, tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()
