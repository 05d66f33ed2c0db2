"""A small untrained vsc-tiny, on disk and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsc_eval.synth import vocabulary
from vsc_eval.vlm import LoadedVLM, load_vlm
from vsc_eval.zoo.build import build_model, build_processor
from vsc_eval.zoo.config import TinyShape
from vsc_eval.zoo.tokenizer import build_tokenizer

SHAPE = TinyShape(
    canvas_px=128,
    d_vision=48,
    vision_depth=2,
    vision_heads=2,
    vision_mlp=64,
    d_model=48,
    n_layers=4,
    n_heads=2,
    head_dim=24,
    d_mlp=64,
    mrope_section=(4, 4, 4),
)


@pytest.fixture(scope="session")
def vlm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo") / "tiny"
    tokenizer = build_tokenizer(vocabulary())
    build_model(SHAPE, tokenizer, seed=0).save_pretrained(folder)
    build_processor(SHAPE, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def vlm(vlm_folder: Path) -> LoadedVLM:
    return load_vlm(vlm_folder)
