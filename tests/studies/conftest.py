"""One small untrained model and one finished study of it, made once for all tests of the runner."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from small_study import tiny_spec, write_study_model

from vsc_eval.studies.run import run_study
from vsc_eval.studies.spec import StudySpec


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def spec(model_folder: Path) -> StudySpec:
    return tiny_spec(model_folder)


@pytest.fixture(scope="session")
def finished(spec: StudySpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an uninterrupted study; not to be written to."""
    folder = tmp_path_factory.mktemp("study") / "finished"
    assert run_study(spec, folder, console=Console(quiet=True)) is not None
    return folder
