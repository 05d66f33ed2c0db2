"""A small untrained model of vsc-tiny's classes: real processor, tokenizer and model, few parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.build import build_model, build_processor
from training.config import TinyShape
from training.tokenizer import build_tokenizer
from vsc_eval.synthetic import vocabulary

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


def untrained_vsc_tiny(folder: Path, shape: TinyShape | None = None) -> Path:
    """vsc-tiny, or a model of another `shape`, with random weights, as a folder like that of the trained one."""
    shape = shape or TinyShape()
    tokenizer = build_tokenizer(vocabulary())
    build_model(shape, tokenizer, seed=0).save_pretrained(folder)
    build_processor(shape, tokenizer).save_pretrained(folder)
    return folder


def write_small_vlm(folder: Path, **changes: Any) -> Path:
    """The model of SHAPE, with `changes` of its sizes, as a folder that `load_vlm` reads."""
    return untrained_vsc_tiny(folder, TinyShape.model_validate(SHAPE.model_dump() | changes))
