"""The shipped task files on sets of the real ones' schema: loaded as from the hub, scored by lm-eval, run edited."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from hand_sets import SETS, write_sets
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from rich.console import Console

from vsc_eval.analysis.results import Results
from vsc_eval.answers.parquet import read_table
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.lmeval.task_files import COMPILED, compiled_files, write_task_files
from vsc_eval.lmeval.task_index import find_task_files
from vsc_eval.resources import tasks_dir
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep
from vsc_eval.taskfiles.read import shipped_dir

# The model of these tests reads no E, the last of five options of a count; real ones do.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not read the option 'E':vsc_eval.backends.hf.engine.EngineWarning"
)

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_sets(folder)
    return folder


class Scripted(LM):
    """Answers from the document: the gold, except where `wrong` says otherwise."""

    MULTIMODAL = True

    def __init__(self, wrong: Callable[[Mapping[str, Any]], bool] = lambda _: False) -> None:
        super().__init__()
        self.wrong = wrong

    def _answer(self, doc: Mapping[str, Any]) -> str:
        if not self.wrong(doc):
            return str(doc["answer"])
        others = [answer for answer in doc["answers"] if answer != doc["answer"]]
        return str(others[0]) if others else "something else"

    def generate_until(self, requests: list[Any]) -> list[str]:
        for request in requests:
            assert [image.mode for image in request.args[2]["visual"]] == ["RGB"]
        return [f"The answer is {self._answer(request.doc)}." for request in requests]

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        found = []
        for request in requests:
            place = request.doc["answers"].index(self._answer(request.doc))
            found.append((0.0, True) if request.args[1] == request.doc["words"][place] else (-5.0, False))
        return found

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        raise NotImplementedError


def evaluated(names: list[str], data_dir: Path, folder: Path, lm: LM, **more: Any) -> Mapping[str, Any]:
    """lm-eval's results of shipped tasks, compiled anew, with its own index and command-line settings."""
    for file in find_task_files().values():
        write_task_files(folder, compiled_files(file))
    metadata = {"vsc_data_dir": str(data_dir)}
    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata)
    found = lm_eval.evaluate(lm, manager.load(names), log_samples=False, bootstrap_iters=0, **more)
    assert found is not None
    return {name: found["results"][name] for name in names}


def variants() -> list[str]:
    files = find_task_files()
    return [name.removesuffix(".yaml") for key in SETS for name in compiled_files(files[key])]


@pytest.mark.parametrize("name", variants())
def test_every_gold_answer_scores_1_in_every_variant(name: str, data_dir: Path, tmp_path: Path) -> None:
    found = evaluated([name], data_dir, tmp_path, Scripted())[name]
    assert found["acc,none"] == 1.0
    shares = {key: value for key, value in found.items() if key.endswith(",none") and "_stderr" not in key}
    for key, value in shares.items():
        zero = key.startswith(("invalid", "drift", "acc_delta"))
        if zero or key.startswith(("acc", "group_acc")):
            assert value == (0.0 if zero else 1.0), key


def test_cv_bench_by_hand(data_dir: Path, tmp_path: Path) -> None:
    # Wrong: all three counts (ADE20K) and one relation (COCO) of three.
    lm = Scripted(lambda doc: doc["id"] in ("cvbench/0", "cvbench/4", "cvbench/8", "cvbench/1"))
    for name in ("vsc_cvbench", "vsc_cvbench_choice"):
        found = evaluated([name], data_dir, tmp_path, lm)[name]
        assert found["acc,none"] == pytest.approx(8 / 12)
        assert found["acc[task=Count],none"] == 0.0
        assert found["acc[source=COCO],none"] == pytest.approx(2 / 3)
        assert found["cv_bench_combined,none"] == pytest.approx(0.5 * ((0 + 2 / 3) / 2 + 1))


def test_pope_by_hand(data_dir: Path, tmp_path: Path) -> None:
    # A model that says yes to everything: precision 6/12, recall 1.
    lm = Scripted(lambda doc: doc["answer"] == "no")
    found = evaluated(["vsc_pope"], data_dir, tmp_path, lm)["vsc_pope"]
    assert found["acc,none"] == 0.5
    assert found["pope_yes_rate,none"] == 1.0
    assert found["pope_f1,none"] == pytest.approx(2 / 3)


def test_naturalbench_by_hand(data_dir: Path, tmp_path: Path) -> None:
    # Group 1 misses its first row: one question, one image and one group of four fail.
    lm = Scripted(lambda doc: doc["id"] == "naturalbench/4")
    for name in ("vsc_naturalbench", "vsc_naturalbench_choice"):
        found = evaluated([name], data_dir, tmp_path, lm)[name]
        assert found["acc,none"] == pytest.approx(15 / 16)
        assert found["group_acc,none"] == pytest.approx(3 / 4)
        assert found["naturalbench_question_accuracy,none"] == pytest.approx(7 / 8)
        assert found["naturalbench_image_accuracy,none"] == pytest.approx(7 / 8)
        assert found["naturalbench_group_accuracy,none"] == pytest.approx(3 / 4)


def test_a_limit_of_lm_evals_own_leaves_incomplete_groups_out(data_dir: Path, tmp_path: Path) -> None:
    lm = Scripted(lambda doc: doc["id"] == "naturalbench/0")
    found = evaluated(["vsc_naturalbench"], data_dir, tmp_path, lm, limit=10)["vsc_naturalbench"]
    # Rows 8 and 9 are half a group.
    assert found["acc,none"] == pytest.approx(9 / 10)
    assert found["group_acc,none"] == pytest.approx(1 / 2)
    assert found["naturalbench_group_accuracy,none"] == pytest.approx(1 / 2)


def test_chartqa_takes_what_is_5_percent_off(data_dir: Path, tmp_path: Path) -> None:
    class Near(Scripted):
        def generate_until(self, requests: list[Any]) -> list[str]:
            answers = {"chartqa/0": "14.5", "chartqa/1": "0.7", "chartqa/3": "dark blue"}
            return [answers.get(request.doc["id"], self._answer(request.doc)) for request in requests]

    found = evaluated(["vsc_chartqa"], data_dir, tmp_path, Near())["vsc_chartqa"]
    assert found["acc,none"] == pytest.approx(9 / 10)
    assert found["chartqa_relaxed_accuracy[human],none"] == pytest.approx(4 / 5)
    assert found["chartqa_exact_accuracy,none"] == pytest.approx(8 / 10)


def test_the_compiled_files_are_current() -> None:
    expected = {name: text for file in find_task_files().values() for name, text in compiled_files(file).items()}
    present = {path.name: path.read_text(encoding="utf-8") for path in (shipped_dir() / COMPILED).glob("*.yaml")}
    assert present == expected, "run `vsc-eval tasks compile`"


def test_lm_evals_index_holds_every_variant() -> None:
    manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False)
    assert set(variants()) <= set(manager.all_tasks)
    assert {"vsc_external", "vsc_external_choice_paired"} <= set(manager.all_tags)


def run(
    tiny: Path, intervention: Path, data_dir: Path, out: Path, tasks: tuple[str, ...], scoring: str, **more: Any
) -> Results:
    spec = RunSpec.model_validate(
        {
            "model": str(tiny),
            "intervention": str(intervention),
            "tasks": tasks,
            "scoring": scoring,
            "data_dir": data_dir,
            "conditions": ("counting", "counting+logic"),
            "batch_size": 8,
            "dtype": "float32",
            "device": "cpu",
            **({"max_new_tokens": 4} if scoring == "generate" else {}),
            **more,
        }
    )
    return run_sweep(spec, out, console=QUIET).results


@pytest.fixture(scope="module")
def generated(
    tiny_folder: Path, intervention_folder: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Results, Path]:
    """All five sets in one run of text answers under three conditions."""
    out = tmp_path_factory.mktemp("runs") / "generated"
    return run(tiny_folder, intervention_folder, data_dir, out, tuple(SETS), "generate"), out


def test_all_five_sets_run_under_edits(generated: tuple[Results, Path]) -> None:
    results, out = generated
    sizes = {name: len(make()) for name, make in SETS.items()}
    for name, n in sizes.items():
        for condition in ("baseline", "counting", "counting+logic"):
            row = results.find(condition, "task", f"vsc_{name}")
            assert row is not None
            assert row.n == n
            assert (row.drift is None) == (condition == "baseline")
    whole = results.find("counting", "all")
    assert whole is not None
    assert whole.n == sum(sizes.values())
    assert whole.mean_kl_vocab is not None
    assert whole.mean_kl_vocab > 0
    items = read_table(out).items
    kinds = {item.task: item.cluster_kind for item in items}
    assert kinds["vsc_cvbench"] == "filename"
    assert kinds["vsc_pope"] == "image_source"
    assert kinds["vsc_naturalbench"] == "group"
    assert kinds["vsc_chartqa"] == "image"
    clusters = {item.cluster for item in items if item.task == "vsc_pope"}
    assert len(clusters) == 2


def test_categories_groups_and_official_figures_are_in_the_results(generated: tuple[Results, Path]) -> None:
    results, out = generated
    parts = {
        (r.task, r.by, r.category): r.n for r in results.rows if r.scope == "category" and r.condition == "counting"
    }
    assert parts["vsc_cvbench", "task", "Count"] == 3
    assert parts["vsc_cvbench", "source", "Omni3D"] == 6
    assert parts["vsc_naturalbench", "Question_Type", "yes_no"] == 8
    assert parts["vsc_chartqa", "type", "human_test"] == 5
    groups = results.find("counting", "group", "vsc_naturalbench")
    assert groups is not None
    assert groups.n == groups.n_clusters == 4
    mains = {row.task: row.figure for row in results.official if row.is_main}
    assert mains["vsc_cvbench"] == "combined"
    assert mains["vsc_naturalbench"] == "group_accuracy"
    assert all((row.difference is None) == (row.condition == "baseline") for row in results.official)
    text = (out / "results.md").read_text()
    assert "vsc_cvbench task=Count" in text
    assert "vsc_naturalbench whole groups" in text
    assert "vsc_pope f1 *" in text.replace("\\", "")
    assert [report.n_items for report in results.data] == [len(make()) for make in SETS.values()]


def test_lm_evals_figures_are_ours(generated: tuple[Results, Path]) -> None:
    results, out = generated
    for condition, folder in (("baseline", "baseline"), ("counting", "counting")):
        theirs = json.loads(next((out / "lm_eval" / folder).glob("results_*.json")).read_text())["results"]
        compared = 0
        for row in results.rows:
            if row.condition == condition and row.scope == "category":
                value = theirs[str(row.task)][f"acc[{row.by}={row.category}],none"]
                assert value == pytest.approx(row.accuracy.value)
                compared += 1
        for figure in results.official:
            if figure.condition == condition:
                value = theirs[figure.task][f"{figure.metric}_{figure.figure},none"]
                ours = math.nan if figure.value.value is None else figure.value.value
                assert value == pytest.approx(ours, nan_ok=True)
                compared += 1
        assert compared > 20


def test_a_finished_run_is_read_back_without_the_model(
    generated: tuple[Results, Path], tiny_folder: Path, intervention_folder: Path, data_dir: Path
) -> None:
    results, out = generated
    before = (out / "results.json").read_bytes()
    again = run(tiny_folder, intervention_folder, data_dir, out, tuple(SETS), "generate")
    assert again == results
    assert (out / "results.json").read_bytes() == before


def test_options_are_compared_by_likelihood(
    tiny_folder: Path, intervention_folder: Path, data_dir: Path, tmp_path: Path
) -> None:
    more = {"limit": 6, "override": ("cvbench.filters={task: [Relation, Depth, Distance]}",)}
    results = run(tiny_folder, intervention_folder, data_dir, tmp_path / "run", ("cvbench",), "loglikelihood", **more)
    row = results.find("counting", "task", "vsc_cvbench")
    assert row is not None
    assert (row.n, row.invalid_rate) == (6, 0)
    assert row.mean_kl_options is not None
    assert row.mean_margin_change is not None
    assert results.data[0].n_filtered_out == 3


def test_words_that_the_model_cannot_read_are_refused_with_the_task(
    tiny_folder: Path, intervention_folder: Path, data_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackendError, match=r"vsc_pope_choice.*'Yes'"):
        run(tiny_folder, intervention_folder, data_dir, tmp_path / "run", ("pope",), "loglikelihood")


def test_a_limit_keeps_groups_whole(
    tiny_folder: Path, intervention_folder: Path, data_dir: Path, tmp_path: Path
) -> None:
    results = run(
        tiny_folder, intervention_folder, data_dir, tmp_path / "run", ("vsc_naturalbench",), "generate", limit=6
    )
    row, groups = results.find("baseline", "all"), results.find("counting", "group", "vsc_naturalbench")
    assert row is not None
    assert groups is not None
    # Six rows are one group and a half.
    assert (row.n, groups.n) == (4, 1)
    assert len(results.data[0].incomplete) == 2
    assert "2 rows of 1 incomplete groups" in (tmp_path / "run/results.md").read_text()


def test_sets_run_together_with_the_benchmark(
    tiny_folder: Path, intervention_folder: Path, data_dir: Path, tmp_path: Path
) -> None:
    names = ("vsc_counting_easy", "realworldqa")
    results = run(tiny_folder, intervention_folder, data_dir, tmp_path / "run", names, "generate", n=4)
    counts = {row.task: row.n for row in results.rows if row.scope == "task" and row.condition == "baseline"}
    assert counts == {"counting": 4, "vsc_realworldqa": 8}
    on, off = results.find("counting", "on_target"), results.find("counting", "off_target")
    assert on is not None
    assert off is not None
    assert (on.n, off.n) == (4, 8)


def test_open_answers_have_no_choice_scoring(
    tiny_folder: Path, intervention_folder: Path, data_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="--scoring loglikelihood") as caught:
        run(tiny_folder, intervention_folder, data_dir, tmp_path / "run", ("chartqa",), "loglikelihood")
    assert "--scoring generate" in caught.value.hint
