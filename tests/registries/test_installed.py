"""The same package found by its entry points, in fresh processes, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from installed import install, run_python
from outside.plain import write
from PIL import Image

from vsc_eval.resources import interventions_dir
from vsc_eval.sae.readers.saelens import load_sae

COMMAND = "import sys; from vsc_eval.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("site"))


def vsc(package: Path, *arguments: str | Path) -> str:
    """What a command printed; it must succeed."""
    done = run_python(COMMAND, package, arguments=[str(argument) for argument in arguments])
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(package: Path, *arguments: str | Path) -> str:
    """What a command said that was refused."""
    done = run_python(COMMAND, package, arguments=[str(argument) for argument in arguments])
    assert done.returncode == 2, done.stderr
    return " ".join(done.stderr.split())


def test_a_task_is_listed_and_shown(package: Path) -> None:
    listed = vsc(package, "tasks", "list")
    assert "vsc_majority_easy vsc_majority_medium vsc_majority_hard" in listed
    assert "in no level or group: vsc_majority\n" in listed
    assert "--- test/majority/hard/00000/A" in vsc(package, "tasks", "show", "vsc_majority_hard")


def test_a_run_of_the_task_under_the_edit(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    named = ("--tasks", "vsc_majority", "--n", "4", "--conditions", "counting:square=0.5,counting:square=0")
    vsc(package, "run", *named, "--out", out)
    answers = pd.read_parquet(out / "answers.parquet")
    assert len(answers) == 3 * 12
    changed = answers[answers.condition == "counting:square=0.5"]
    assert (changed.n_edited_tokens > 0).all()
    assert (changed.kl_vocab > 0).any()
    neutral = answers[answers.condition == "counting:square=0"]
    assert (neutral.kl_vocab == 0).all()


def test_a_run_on_the_backend(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    named = ("--tasks", "vsc_majority_easy", "--n", "8", "--conditions", "counting:square=1", "--backend", "echo")
    vsc(package, "run", *named, "--backend-options", "word=C", "--scoring", "generate", "--out", out)
    answers = pd.read_parquet(out / "answers.parquet")
    assert set(answers.text) == {"C"}
    rows = json.loads((out / "results.json").read_text(encoding="utf-8"))["rows"]
    assert {row["accuracy"]["value"] for row in rows if row["scope"] == "all"} == {0.25}
    assert "Known backends: hf, vllm, echo" in refusal(package, "run", "--backend", "ecko", "--out", tmp_path / "no")


def test_a_task_file_with_the_metric(package: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    rows = [
        {"image": "red.png", "question": f"What is it? ({n})", "answer": answer, "topic": topic}
        for n, (answer, topic) in enumerate([("tram", "rail"), ("truck", "road"), ("car", "road")])
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "things.yaml").write_text(
        "name: things\ndataset: {path: rows.jsonl}\nkind: short_text\n"
        "fields: {image: image, question: question, answer: answer}\nscore: lenient\n",
        encoding="utf-8",
    )
    out, named = tmp_path / "run", ("--tasks", tmp_path / "things.yaml", "--scoring", "generate")
    vsc(package, "run", *named, "--backend", "echo", "--backend-options", "word=truck", "--out", out)
    official = json.loads((out / "results.json").read_text(encoding="utf-8"))["official"]
    found = {row["figure"]: row["value"]["value"] for row in official}
    assert found["first_letter[road]"] == 0.5
    assert found["first_letter"] == pytest.approx(2 / 3)
    (tmp_path / "things.yaml").write_text(
        (tmp_path / "things.yaml").read_text(encoding="utf-8").replace("lenient", "lenent"), encoding="utf-8"
    )
    assert "Did you mean 'lenient'" in refusal(package, "run", *named, "--out", tmp_path / "no")


def test_an_sae_in_the_layout_selects_by_the_score(package: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "sae"
    foreign.mkdir()
    write(load_sae(interventions_dir() / "vsc-tiny" / "sae"), foreign)
    assert "plain" in vsc(package, "sae", "show", foreign)
    select = ["sae", "select", "--model", "vsc-tiny", "--sae", str(foreign), "--layer", "4", "--positions", "all"]
    select += ["--tasks", "majority", "counting", "--items-per-cell", "4", "--m", "2", "--draws", "2"]
    out = tmp_path / "intervention"
    vsc(package, *select, "--score", "max_gap", "--edit", "square=1", "--out", out)
    written = (out / "intervention.yaml").read_text(encoding="utf-8")
    assert "rule_score: max_gap" in written
    assert "kind: square" in written
    assert "task: majority" in written
    message = refusal(package, *select, "--score", "max_gab", "--out", tmp_path / "no")
    assert "unknown score 'max_gab'. Did you mean 'max_gap'?" in message
