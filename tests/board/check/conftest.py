"""A board of three entries, and a copy of it to be harmed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from samples import sample_board


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of a run, a study and another run; not to be written to."""
    path = tmp_path_factory.mktemp("boards") / "sample"
    sample_board(path, 3)
    return path


@pytest.fixture
def board(clean: Path, tmp_path: Path) -> Path:
    shutil.copytree(clean, tmp_path / "sample")
    return tmp_path / "sample"
