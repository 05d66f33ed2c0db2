"""`vsc-eval run` with vsc-tiny on copies of the five data sets, from files in the hub's layout to the report.

Everything that the run reports is computed again here from the texts and likelihoods in lm-eval's own sample logs and
from what the copies say their rows must become, with the formulas of the data sets written out plainly. vsc-tiny reads
no letter after D and not the words Yes and No, so only the questions with two options are answered by likelihood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fixtures import COPIES, FIVE, Expected, write_copy

from vsc_eval.backends.hf.engine import EngineWarning
from vsc_eval.cli.main import main
from vsc_eval.extract import INVALID, extract

CONDITIONS = ("baseline", "counting")
CHOICE_FILTER = "cvbench.filters={task: [Relation, Depth, Distance]}"
Answers = dict[str, str]
"""Item id -> answer."""


class Run:
    """A finished run's folder."""

    def __init__(self, folder: Path, tasks: Sequence[str], scoring: str) -> None:
        self.folder, self.tasks, self.scoring = folder, tasks, scoring
        self.results: dict[str, Any] = json.loads((folder / "results.json").read_text())
        answers = pd.read_parquet(folder / "answers.parquet").astype({"item_id": str, "condition": str, "answer": str})
        by_condition = answers.pivot(index="item_id", columns="condition", values="answer").to_dict("index")
        items = pd.read_parquet(folder / "items.parquet").to_dict("records")
        self.items: dict[str, dict[str, Any]] = {
            item["item_id"]: {**item, "answers": by_condition[item["item_id"]]} for item in items
        }

    def samples(self, task: str, condition: str) -> list[dict[str, Any]]:
        (file,) = (self.folder / "lm_eval" / condition).glob(f"samples_vsc_{task}_*.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def expected(self, task: str) -> list[Expected]:
        """What the rows that were asked must be."""
        rows = zip(COPIES[task].expected, asked_rows(task), strict=True)
        return [expected for expected, row in rows if self.scoring == "generate" or row["task"] != "Count"]

    def lm_eval(self, task: str, condition: str) -> dict[str, float]:
        (file,) = (self.folder / "lm_eval" / condition).glob("results_*.json")
        found: dict[str, dict[str, float]] = json.loads(file.read_text())["results"]
        (name,) = (name for name in found if name.startswith(f"vsc_{task}"))
        return {key.removesuffix(",none"): value for key, value in found[name].items() if key.endswith(",none")}

    def answers(self, task: str, condition: str) -> Answers:
        """Read again from the sample logs: texts by what the copies say of the row, likelihoods by the largest."""
        found = {}
        for sample in self.samples(task, condition):
            expected = EXPECTED[sample["doc"]["id"]]
            if self.scoring == "generate":
                (text,) = sample["resps"][0]
                letters = "ABCDEF"[: len(expected.options)]
                found[expected.id] = extract(text, kind=kind_of(expected), options=expected.options, letters=letters)
            else:
                likely = [float(option[0][0]) for option in sample["resps"]]
                found[expected.id] = "ABCDEF"[likely.index(max(likely))]
        return found

    def row(self, scope: str, condition: str, task: str, **where: str) -> dict[str, Any]:
        wanted = {"scope": scope, "condition": condition, "task": f"vsc_{task}", **where}
        (row,) = (r for r in self.results["rows"] if all(r.get(key) == value for key, value in wanted.items()))
        return dict(row)

    def official(self, task: str, condition: str) -> dict[str, float | None]:
        rows = [r for r in self.results["official"] if (r["task"], r["condition"]) == (f"vsc_{task}", condition)]
        return {row["figure"]: row["value"]["value"] for row in rows}


EXPECTED: dict[str, Expected] = {expected.id: expected for copy in COPIES.values() for expected in copy.expected}


def kind_of(expected: Expected) -> Any:
    return expected.kind


def is_right(task: str, answer: str, gold: str) -> bool:
    """Equal, or for ChartQA two numbers within 5%."""
    if answer == gold or task != "chartqa":
        return answer == gold
    try:
        given, wanted = (float(text.rstrip("%")) / (100 if text.endswith("%") else 1) for text in (answer, gold))
    except ValueError:
        return False
    return wanted != 0 and abs(given - wanted) <= 0.05 * abs(wanted)


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def rights(task: str, answers: Answers) -> dict[str, bool]:
    return {name: is_right(task, answer, EXPECTED[name].gold) for name, answer in answers.items()}


def asked_rows(task: str) -> list[dict[str, Any]]:
    """The rows of the copy that the task file asks."""
    copy = COPIES[task]
    return [row for row in copy.rows if task != "pope" or row["category"] == copy.split]


def columns(task: str, name: str) -> Mapping[str, Any]:
    """The row of an item in the copy."""
    return asked_rows(task)[[expected.id for expected in COPIES[task].expected].index(name)]


def by_hand(task: str, answers: Answers) -> dict[str, float | None]:
    """The official figures, from their definitions."""
    right = rights(task, answers)

    def accuracy(**where: str) -> float | None:
        return mean([right[n] for n in right if all(columns(task, n)[k] == v for k, v in where.items())])

    found: dict[str, float | None] = {"invalid_rate": mean([a == INVALID for a in answers.values()])}
    if task == "cvbench":
        sources = {name: accuracy(source=name) or 0.0 for name in ("ADE20K", "COCO", "Omni3D")}
        two = (sources["ADE20K"] + sources["COCO"]) / 2
        found |= {"2D": two, "3D": sources["Omni3D"], "combined": (two + sources["Omni3D"]) / 2, "accuracy": accuracy()}
        found |= {f"accuracy[{name}]": accuracy(task=name) for name in {columns(task, n)["task"] for n in right}}
    elif task == "pope":
        pairs = [(answers[name], EXPECTED[name].gold) for name in answers]
        tp, fp = pairs.count(("yes", "yes")), pairs.count(("yes", "no"))
        golds = sum(gold == "yes" for _, gold in pairs)
        found |= {
            "accuracy": accuracy(),
            "precision": tp / (tp + fp) if tp + fp else None,
            "recall": tp / golds,
            "f1": 2 * tp / (tp + fp + golds),
            "yes_rate": (tp + fp) / len(pairs),
        }
        found |= {f"{figure}[adversarial]": value for figure, value in found.items()}
    elif task == "naturalbench":
        groups = [[right[f"naturalbench/{4 * g + k}"] for k in range(4)] for g in range(3)]
        found |= {
            "accuracy": accuracy(),
            "question_accuracy": mean([x for a, b, c, d in groups for x in (a and b, c and d)]),
            "image_accuracy": mean([x for a, b, c, d in groups for x in (a and c, b and d)]),
            "group_accuracy": mean([all(group) for group in groups]),
        }
    elif task == "chartqa":
        found |= {
            "relaxed_accuracy": accuracy(),
            "relaxed_accuracy[human]": accuracy(type="human_test"),
            "relaxed_accuracy[augmented]": accuracy(type="augmented_test"),
            "exact_accuracy": mean([answer == EXPECTED[name].gold for name, answer in answers.items()]),
        }
    else:
        letters = [right[n] for n in right if EXPECTED[n].options]
        texts = [right[n] for n in right if not EXPECTED[n].options]
        found |= {"accuracy": accuracy(), "accuracy[letter]": mean(letters), "accuracy[text]": mean(texts)}
    return found


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    for name in FIVE:
        write_copy(COPIES[name], folder)
    return folder


def run(data_dir: Path, out: Path, tasks: Sequence[str], scoring: str, *more: str) -> Run:
    names = ",".join(f"vsc_{task}" for task in tasks)
    command = ["run", "--tasks", names, "--data-dir", str(data_dir), "--scoring", scoring, "--out", str(out)]
    assert main([*command, "--conditions", "counting", "--dtype", "float32", "--device", "cpu", *more]) == 0
    return Run(out, tasks, scoring)


@pytest.fixture(scope="module")
def generated(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "generated"
    with pytest.warns(EngineWarning, match="does not read the option 'E' as one token"):
        return run(data_dir, out, FIVE, "generate", "--max-new-tokens", "6")


@pytest.fixture(scope="module")
def chosen(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "chosen"
    return run(data_dir, out, ("cvbench",), "loglikelihood", "--override", CHOICE_FILTER)


CASES = [*(("generated", task) for task in FIVE), ("chosen", "cvbench")]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> tuple[Run, str]:
    which, task = request.param
    return request.getfixturevalue(which), task


every_case = pytest.mark.parametrize("case", CASES, indirect=True, ids=[f"{which} {task}" for which, task in CASES])


@every_case
def test_every_row_is_asked_once_with_its_gold_and_its_cluster(case: tuple[Run, str]) -> None:
    run, task = case
    items = {name: item for name, item in run.items.items() if item["task"] == f"vsc_{task}"}
    assert list(items) == [expected.id for expected in run.expected(task)]
    for name, item in items.items():
        assert item["gold"] == EXPECTED[name].gold
        assert item["scoring"] == run.scoring
    for a in items:
        for b in items:
            together = items[a]["cluster"] == items[b]["cluster"]
            assert together == (EXPECTED[a].cluster == EXPECTED[b].cluster), (a, b)


@every_case
def test_answers_are_those_of_the_logged_texts_and_likelihoods(case: tuple[Run, str]) -> None:
    run, task = case
    for condition in CONDITIONS:
        answers = run.answers(task, condition)
        assert len(answers) == len(run.expected(task))
        for name, answer in answers.items():
            gold = EXPECTED[name].gold
            as_compared = gold if is_right(task, answer, gold) else answer
            assert run.items[name]["answers"][condition] == as_compared, name


@every_case
def test_scores_rows_and_drift(case: tuple[Run, str]) -> None:
    run, task = case
    clusters = len({expected.cluster for expected in run.expected(task)})
    found = {condition: run.answers(task, condition) for condition in CONDITIONS}
    for condition, answers in found.items():
        right = rights(task, answers)
        row = run.row("task", condition, task)
        assert (row["n"], row["n_clusters"]) == (len(answers), clusters)
        assert row["accuracy"]["value"] == pytest.approx(mean(list(right.values())))
        assert row["invalid_rate"] == pytest.approx(mean([a == INVALID for a in answers.values()]))
        logged = run.lm_eval(task, condition)
        assert logged["acc"] == pytest.approx(row["accuracy"]["value"])
    base, edited = (
        {name: EXPECTED[name].gold if right else found[c][name] for name, right in rights(task, found[c]).items()}
        for c in CONDITIONS
    )
    changed = sum(base[name] != edited[name] for name in base)
    drift = run.row("task", "counting", task)["drift"]
    assert drift["n_changed"] == changed
    assert drift["share"]["value"] == pytest.approx(changed / len(base))
    difference = run.row("task", "counting", task)["difference"]["value"]
    before, after = (mean(list(rights(task, found[c]).values())) for c in CONDITIONS)
    assert before is not None
    assert after is not None
    assert difference == pytest.approx(after - before)


@every_case
def test_categories(case: tuple[Run, str]) -> None:
    run, task = case
    report_by = {"cvbench": ("task", "source"), "pope": ("category",), "naturalbench": ("Question_Type",)}
    for column in {**report_by, "chartqa": ("type",)}.get(task, ()):
        for condition in CONDITIONS:
            right = rights(task, run.answers(task, condition))
            values = {columns(task, name)[column] for name in right}
            for value in values:
                row = run.row("category", condition, task, by=column, category=value)
                among = [right[name] for name in right if columns(task, name)[column] == value]
                assert row["n"] == len(among)
                assert row["accuracy"]["value"] == pytest.approx(mean(among)), (column, value)


@every_case
def test_official_figures(case: tuple[Run, str]) -> None:
    run, task = case
    for condition in CONDITIONS:
        reported = run.official(task, condition)
        logged = run.lm_eval(task, condition)
        score = {"cvbench": "cv_bench"}.get(task, task)
        for figure, value in by_hand(task, run.answers(task, condition)).items():
            assert reported[figure] == (None if value is None else pytest.approx(value)), figure
            # lm-eval writes nan for a figure that is undefined.
            assert logged[f"{score}_{figure}"] == pytest.approx(float("nan") if value is None else value, nan_ok=True)


def test_the_model_gives_answers_worth_scoring(generated: Run, chosen: Run) -> None:
    """The checks above would hold of a model that always says the same; this one does not."""
    said = {a for task in FIVE for condition in CONDITIONS for a in generated.answers(task, condition).values()}
    assert INVALID in said
    assert len(said) >= 4
    right = [value for c in CONDITIONS for value in rights("cvbench", chosen.answers("cvbench", c)).values()]
    assert {True, False} == set(right)
    assert chosen.row("task", "counting", "cvbench")["drift"]["n_changed"] > 0


def test_the_report_names_every_set_and_its_main_figure(generated: Run) -> None:
    text = (generated.folder / "results.md").read_text().replace("\\", "")  # Markdown escapes _ and *
    for task, figure in (
        ("cvbench", "combined"),
        ("pope", "f1"),
        ("naturalbench", "group_accuracy"),
        ("chartqa", "relaxed_accuracy"),
        ("realworldqa", "accuracy"),
    ):
        assert f"vsc_{task} {figure} *" in text
        value = generated.official(task, "baseline")[figure]
        (line,) = (line for line in text.splitlines() if line.startswith(f"| vsc_{task} {figure} *"))
        assert ("–" if value is None else f"{100 * value:.1f}") in line
    assert all(f"vsc_{task}" in text for task in FIVE)
    data = {entry["task"]: entry for entry in generated.results["data"]}
    assert data["vsc_pope"]["n_rows"] == data["vsc_pope"]["n_items"] == 6


def test_a_limit_drops_the_incomplete_group_from_every_figure(data_dir: Path, tmp_path: Path) -> None:
    cut = run(data_dir, tmp_path / "cut", ("naturalbench",), "generate", "--limit", "7", "--max-new-tokens", "2")
    assert list(cut.items) == [f"naturalbench/{k}" for k in range(4)]
    sizes = {r["figure"]: r["value"]["n_items"] for r in cut.results["official"] if r["condition"] == "baseline"}
    assert sizes["group_accuracy"] == 1
    assert sizes["question_accuracy"] == sizes["image_accuracy"] == 2
    assert sizes["accuracy"] == 4
