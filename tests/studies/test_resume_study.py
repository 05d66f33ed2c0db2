"""Studies that were killed, changed or damaged."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file

from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.answers.store import AnswerStore
from vsc_eval.errors import DataError, SpecError
from vsc_eval.specs import save_yaml_spec
from vsc_eval.studies.records import read_results
from vsc_eval.studies.run import STAGES, run_study
from vsc_eval.studies.spec import SelectOptions, StudySpec

_KILLED_IN_SWEEP = """
import os, signal, sys
from pathlib import Path
from vsc_eval.specs import load_yaml_spec
from vsc_eval.studies.run import run_study
from vsc_eval.studies.spec import StudySpec

def watch(what, done, total):
    # The second chunk is computed but not stored.
    if what == "sweep: answers" and done > total // 6:
        os.kill(os.getpid(), signal.SIGKILL)

run_study(load_yaml_spec(Path(sys.argv[1]), StudySpec), Path(sys.argv[2]), watch=watch)
"""


class KilledError(Exception):
    """Stands for whatever ends a process; nothing catches it."""


def results_of(folder: Path) -> bytes:
    return (folder / "results.json").read_bytes()


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to be spoilt."""
    shutil.copytree(finished, tmp_path / "copied")
    return tmp_path / "copied"


def forget(folder: Path, *stages: str) -> None:
    """Make the stages unfinished, as if the study had never come to them."""
    document = yaml.safe_load((folder / "study.yaml").read_text())
    for stage in stages:
        for name in document["stages"].pop(stage)["outputs"]:
            (folder / name).unlink()
    (folder / "study.yaml").write_text(yaml.safe_dump(document))


def test_killed_in_every_stage_it_ends_at_the_same_numbers(
    spec: StudySpec, finished: Path, tmp_path: Path, console: Console
) -> None:
    out = tmp_path / "killed"
    for stage in STAGES:
        reached: list[str] = []

        def watch(what: str, done: int, total: int, stage: str = stage.name, reached: list[str] = reached) -> None:
            reached.append(what.split(":")[0])
            if reached[-1] == stage and 2 * done >= total:
                raise KilledError

        with pytest.raises(KilledError):
            run_study(spec, out, console=console, watch=watch)
        # What was finished before is not run again, and nothing later has begun.
        assert set(reached) <= {stage.name, STAGES[max(0, STAGES.index(stage) - 1)].name}
        assert (out / "results.json").exists() == (stage.name == "report")
    assert run_study(spec, out, console=console) is not None
    for file in [finished / "results.json", finished / "report.md", *(finished / "figures").iterdir()]:
        assert (out / file.relative_to(finished)).read_bytes() == file.read_bytes(), file.name


def test_a_killed_process_loses_one_chunk(spec: StudySpec, copied: Path, finished: Path, console: Console) -> None:
    forget(copied, "sweep", "controls", "conclude")
    for file in (*copied.glob("answers.sqlite*"), *copied.glob("floor.sqlite*")):
        file.unlink()
    file = copied.parent / "spec.yaml"
    save_yaml_spec(file, spec)
    command = [sys.executable, "-c", _KILLED_IN_SWEEP, str(file), str(copied)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
    with AnswerStore(copied / "answers.sqlite") as store:
        kept = len(store)
    n_conditions = 1 + 2 + 2 * (2 + 1 + 1)
    assert kept == n_conditions * spec.batch_size
    heard: list[tuple[int, int]] = []

    def watch(what: str, done: int, total: int) -> None:
        if what == "sweep: answers":
            heard.append((done, total))

    assert run_study(spec, copied, console=console, until="conclude", watch=watch) is not None
    assert heard[-1] == (48 * n_conditions - kept, 48 * n_conditions - kept)
    assert results_of(copied) == results_of(finished)


def test_another_spec_is_refused_by_its_keys(spec: StudySpec, copied: Path, console: Console) -> None:
    changed = spec.model_copy(
        update={"seed": 1, "verdict": spec.verdict.model_copy(update={"alpha": 0.01}), "batch_size": 4}
    )
    with pytest.raises(SpecError) as caught:
        run_study(changed, copied, console=console, until="conclude")
    lines = caught.value.message.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["seed", "verdict.alpha"]


def test_how_it_is_computed_may_change(spec: StudySpec, copied: Path, finished: Path, console: Console) -> None:
    other = spec.model_copy(update={"batch_size": 4, "engine_mode": "hooks"})
    results = run_study(other, copied, console=console, until="conclude")
    assert results is not None
    assert results.spec == spec
    assert results_of(copied) == results_of(finished)


@pytest.mark.parametrize("stage", ["probing", "sae", "select", "sweep"])
def test_a_stage_goes_on_with_another_batch_size(spec: StudySpec, copied: Path, console: Console, stage: str) -> None:
    names = [known.name for known in STAGES]
    forget(copied, *names[names.index(stage) :])
    for leftover in (*copied.glob("*.sqlite*"), *copied.glob("probing/activations/*")):
        leftover.unlink()

    def watch(what: str, done: int, total: int) -> None:
        if what.startswith(stage) and 2 * done >= total:
            raise KilledError

    with pytest.raises(KilledError):
        run_study(spec, copied, console=console, until="conclude", watch=watch)
    smaller = spec.model_copy(update={"batch_size": 4})
    assert run_study(smaller, copied, console=console, until=stage) is None
    assert run_study(spec, copied, console=console, until=stage) is None


def test_another_model_under_the_same_name_is_refused(
    spec: StudySpec, copied: Path, tmp_path: Path, console: Console
) -> None:
    model = tmp_path / "model"
    shutil.copytree(spec.model, model)
    weights = load_file(model / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name] + 1
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    out = tmp_path / "moved"
    moved = spec.model_copy(update={"model": str(model)})
    with pytest.raises(KilledError):
        run_study(moved, out, console=console, until="conclude", watch=_raise)
    shutil.rmtree(model)
    shutil.copytree(spec.model, model)
    with pytest.raises(SpecError, match="model_fingerprint"):
        run_study(moved, out, console=console, until="conclude")


def _raise(what: str, done: int, total: int) -> None:
    raise KilledError


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("probing/probing.json", "probing"),
        ("intervention/sae/sae_weights.safetensors", "sae"),
        ("intervention/intervention.yaml", "select"),
        ("answers.parquet", "sweep"),
        ("controls.yaml", "controls"),
        ("results.json", "conclude"),
    ],
)
def test_a_damaged_file_is_named(spec: StudySpec, copied: Path, console: Console, name: str, stage: str) -> None:
    file = copied / name
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(DataError) as caught:
        run_study(spec, copied, console=console, until="conclude")
    assert str(file) in caught.value.message
    assert f"`{stage}`" in caught.value.message


def test_a_deleted_file_is_made_again_and_nothing_else(
    spec: StudySpec, copied: Path, finished: Path, console: Console
) -> None:
    (copied / "intervention" / "sae" / "sae_weights.safetensors").unlink()
    heard: list[str] = []
    assert run_study(
        spec, copied, console=console, until="conclude", watch=lambda what, done, total: heard.append(what)
    )
    assert set(heard) == {"sae: tokens"}
    assert results_of(copied) == results_of(finished)


def test_other_inputs_make_later_stages_run_again(
    spec: StudySpec, copied: Path, finished: Path, console: Console
) -> None:
    """A stage reads what is there now: answers of another layer's SAE are never mixed with this one's."""
    forget(copied, "probing")
    localized = json.loads((finished / "probing" / "probing.json").read_text())
    localized["layer"] = 1 - localized["layer"]
    (copied / "probing" / "probing.json").write_text(json.dumps(localized))
    heard: list[str] = []
    results = run_study(
        spec,
        copied,
        console=console,
        until="conclude",
        watch=lambda what, done, total: heard.append(what.split(":")[0]),
    )
    assert list(dict.fromkeys(heard)) == ["sae", "select", "sweep", "controls", "conclude"]
    assert results is not None
    assert results.layer == localized["layer"]
    assert results.sae_fingerprint != read_results(finished).sae_fingerprint


def test_failed_draws_are_excluded_and_named(spec: StudySpec, copied: Path, finished: Path, console: Console) -> None:
    """Two sets of 20 of 64 features leave too few to match them with."""
    large = spec.model_copy(
        update={
            "select": SelectOptions(
                items_per_cell=8,
                rule=spec.select.rule.model_copy(update={"m": 20, "exclusive": False}),
                stability_draws=3,
            ),
            "verdict": VerdictRule(edit="scale=40", control_kinds=()),
        }
    )
    forget(copied, "select", "sweep", "controls", "conclude")
    document = yaml.safe_load((copied / "study.yaml").read_text())
    document["settings"] = large.identity()
    (copied / "study.yaml").write_text(yaml.safe_dump(document))
    results = run_study(large, copied, console=console, until="conclude")
    assert results is not None
    assert any(entry.what.startswith("random_sets, draws 0, 1") for entry in results.excluded), results.excluded
    tests = [test for test in results.controls if test.kind == "random_sets"]
    assert tests
    assert all(test.draws == () and test.p is None and test.reason for test in tests)
    assert all(len(test.draws) == 2 for test in results.controls if test.kind == "random_directions")
