"""`vsc-eval compare` from the command line, and from two real runs of the embedded model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vsc_eval.analysis.compare.compare import compare_runs
from vsc_eval.analysis.compare.records import Comparison
from vsc_eval.analysis.compare.tables import all_tables
from vsc_eval.analysis.results import Results
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.finished_run import read_run
from vsc_eval.cli import main as cli
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep
from vsc_eval.tables.console import LOG_COLUMNS

Tables = Callable[..., AnswerTable]
MakeRun = Callable[..., Path]


def test_tables_and_files(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, out = make_run("a", 0), make_run("b", 1, settings={"model": "other"}), tmp_path / "out"
    assert cli.main(["compare", str(a), str(b), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= LOG_COLUMNS
    found = Comparison.model_validate_json((out / "compare.json").read_text())
    assert found == compare_runs(read_run(a), read_run(b))
    text = (out / "compare.md").read_text()
    titles = [table.title for table in all_tables(found, in_full=3)]
    assert titles == [
        "What differs",
        "Accuracy and agreement",
        "Drift from A to B",
        "Log-probabilities of the options",
        "Effects of the conditions, each against its own run's baseline",
        *(f"{name} by task, level and cell" for name in ("baseline", "counting", "logic:ablate")),
    ]
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == titles
    for title in titles[:6]:
        assert title in shown
    assert "adjusted over the 4 cells" in text
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("| ")]
        assert len({row.replace("\\|", "").count("|") for row in rows}) <= 1, block
    row = found.whole(found.pairs[0])
    assert f"| `baseline` | {100 * (row.accuracy_a.value or 0):.1f} [" in text


def test_notes_beside_nulls(make_run: MakeRun, table_with: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = make_run("a", 0), make_run("b", 1, table=table_with(1).only(np.arange(80) < 79))
    assert cli.main(["compare", str(a), str(b), "--common"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Left out: 1 items of A only and 0 of B only (logic/hard/4/D)" in shown
    assert "power 0.8 to find one of at least (points): baseline" in shown
    assert cli.main(["compare", str(a), str(a)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "No interval: every orbit gives the same value." in shown
    # 1 - 0.05^(1/20)
    assert "fewer than 13.9% of clusters (80 items in 20 clusters)" in shown
    assert "Nothing that the folders tell differs." in shown


def test_json_and_one_condition(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = make_run("a", 0), make_run("b", 1)
    assert cli.main(["compare", str(a), str(b), "--condition", "counting", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(pair["condition_a"], pair["condition_b"]) for pair in found["pairs"]] == [("counting", "counting")]
    assert {row["condition_a"] for row in found["effects"]} == {"counting"}
    options = ["--condition-a", "baseline", "--condition-b", "counting", "--json"]
    assert cli.main(["compare", str(a), str(a), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == [{"condition_a": "baseline", "condition_b": "counting", "floor": None}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--condition-a", "baseline"], "--condition-a and --condition-b go together"),
        (["--condition", "counting", "--condition-b", "counting"], "--condition goes without"),
        (["--condition", "countin"], "Did you mean 'counting'?"),
        (["--seed", "-1"], "--seed: -1 is below 0"),
    ],
)
def test_options_that_do_not_fit(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    run = str(make_run("a"))
    assert cli.main(["compare", run, run, *options]) == 2
    assert message in capsys.readouterr().err


def test_refusals_reach_the_user_with_their_hints(
    make_run: MakeRun, table_with: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(["compare", str(make_run("a")), str(make_run("b", table=table_with(1).only(np.arange(80) < 70)))]) == 2
    )
    error = capsys.readouterr().err
    assert "items of A only: 10 (logic/hard/2/C, logic/hard/2/D, logic/hard/3/A, ...)" in error
    assert "Give --common" in error


def test_nothing_heavy_is_loaded(make_run: MakeRun) -> None:
    run = str(make_run("a"))
    code = (
        f"import sys; from vsc_eval.cli.main import main; main(['compare', {run!r}, {run!r}, '--json'])\n"
        "print([m for m in ('torch', 'lm_eval', 'transformers', 'datasets', 'sklearn') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.rstrip().endswith("\n[]")


def test_real_runs_of_the_embedded_model(tmp_path: Path) -> None:
    """The engine's two ways of computing are the noise floor; an edit is not; every figure is the run's own."""
    quiet = Console(quiet=True)
    runs = []
    for name, mode, batch_size in (("a", "shared", 16), ("b", "hooks", 5)):
        spec = RunSpec(
            tasks=("vsc_counting", "vsc_logic_easy"),
            conditions=("counting",),
            n=4,
            device="cpu",
            batch_size=batch_size,
            engine_mode=mode,
        )
        run_sweep(spec, tmp_path / name, console=quiet)
        runs.append(read_run(tmp_path / name))
    found = compare_runs(*runs)
    assert [(pair.condition_a, pair.condition_b) for pair in found.pairs] == [
        (name, name) for name in ("baseline", "counting")
    ]
    assert {row.name for row in found.settings} == {"engine_mode", "batch_size"}
    for pair in found.pairs:
        row = found.whole(pair)
        assert pair.floor is not None
        assert (row.n, row.drift.n_changed) == (16, 0)
        assert row.options is not None
        assert row.options.max_abs_difference is not None
        assert row.options.max_abs_difference < 1e-3
    edit = compare_runs(runs[0], runs[0], conditions=("baseline", "counting"))
    theirs = Results.model_validate_json((tmp_path / "a" / "results.json").read_text())
    for row in edit.rows:
        result = theirs.find("counting", row.scope, row.task, row.level)
        assert result is not None
        assert result.difference is not None
        assert result.drift is not None
        assert row.accuracy.value == pytest.approx(result.accuracy.value)
        assert row.difference.value == pytest.approx(result.difference.value)
        assert row.drift.n_changed == result.drift.n_changed
        assert row.options is not None
        assert row.options.kl.value == pytest.approx(result.mean_kl_options, rel=1e-3, abs=1e-6)
    whole = edit.whole(edit.pairs[0]).options
    assert whole is not None
    assert whole.max_abs_difference is not None
    assert whole.max_abs_difference > 0.1
