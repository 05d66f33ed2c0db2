"""Difficulty as typed parameters: what easy, medium and hard mean stands with each task.

Sizes and distances are pixels of the 448 px canvas, pairs are (least, greatest), both included.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

LEVELS: Final = ("easy", "medium", "hard")
SPLITS: Final = ("train", "sae", "select", "test")


class Difficulty(BaseModel):
    """Base of every level: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: tuple[int, int]
    """Extent of the objects."""
    gap_px: int
    """Least distance between bounding boxes."""
    n_objects: int
    """Objects in the picture (the greatest number, where it varies)."""
