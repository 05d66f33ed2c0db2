"""A small untrained model of vsc-tiny's classes: real processor, tokenizer and model, few parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vsc_eval.zoo.build import untrained_vsc_tiny
from vsc_eval.zoo.config import TinyConfig, TinyShape

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


def write_small_vlm(folder: Path, **changes: Any) -> Path:
    """The model of SHAPE, with `changes` of its sizes, as a folder that `load_vlm` reads."""
    shape = TinyShape.model_validate(SHAPE.model_dump() | changes)
    return untrained_vsc_tiny(folder, config=TinyConfig(shape=shape, stages=()))
