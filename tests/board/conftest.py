"""Real folders of a run, a study and a run of a data set, each made once and not to be written to.

What loads torch or datasets is imported by the fixtures: most tests of boards need neither.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from vsc_eval.cli.main import main
from vsc_eval.resources import embedded_dir, interventions_dir

RUN_CONDITIONS = "counting:scale=8,logic:scale=8,counting+logic:scale=8,counting+logic:scale=8:norm=mean"


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vsc-tiny on two tasks, the model and the intervention named by their folders."""
    out = tmp_path_factory.mktemp("published") / "run"
    model, intervention = str(embedded_dir()), str(interventions_dir() / "vsc-tiny")
    command = ["run", "--model", model, "--intervention", intervention, "--tasks", "vsc_counting,vsc_logic", "--n", "4"]
    assert main([*command, "--conditions", RUN_CONDITIONS, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole study of a small untrained model on two tasks."""
    from small_study import tiny_spec, write_study_model

    from vsc_eval.studies.run import run_study

    folder = tmp_path_factory.mktemp("studied")
    spec = tiny_spec(write_study_model(folder / "home" / "tiny"))
    assert run_study(spec, folder / "study", console=Console(quiet=True)) is not None
    return folder / "study"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a data set, as on the hub."""
    from fixtures import COPIES, write_copy

    folder = tmp_path_factory.mktemp("copies")
    write_copy(COPIES["naturalbench"], folder)
    return folder


@pytest.fixture(scope="session")
def external_folder(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """vsc-tiny on a data set with groups and an official metric."""
    out = tmp_path_factory.mktemp("external") / "run"
    command = ["run", "--tasks", "naturalbench", "--data-dir", str(data_dir), "--scoring", "generate"]
    more = ["--max-new-tokens", "3", "--conditions", "counting:scale=30", "--out", str(out)]
    assert main([*command, *more]) == 0
    return out
