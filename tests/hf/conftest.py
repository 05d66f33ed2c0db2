"""A small untrained vsc-tiny, on disk and loaded: real processor, tokenizer and model classes, few parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_vlm import write_small_vlm

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.synthetic import LETTERS, Item, make_items, render


@pytest.fixture(scope="session")
def vlm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_vlm(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def vlm(vlm_folder: Path) -> LoadedVLM:
    return load_vlm(vlm_folder)


@pytest.fixture(scope="session")
def items() -> list[Item]:
    """Eight items whose prompts differ in length."""
    return make_items("test", "counting", "easy", 4) + make_items("test", "logic", "hard", 4)


@pytest.fixture(scope="session")
def prompts(items: list[Item]) -> list[Prompt]:
    return [Prompt(item.prompt, (render(item.scene),), LETTERS) for item in items]
