"""A small untrained vsc-tiny, on disk and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_vlm import write_small_vlm

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm


@pytest.fixture(scope="session")
def vlm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_vlm(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def vlm(vlm_folder: Path) -> LoadedVLM:
    return load_vlm(vlm_folder)
