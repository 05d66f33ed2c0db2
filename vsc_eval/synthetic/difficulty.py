"""Difficulty as typed parameters: what easy, medium and hard mean in each task.

Sizes and distances are pixels of the 448 px canvas, pairs are (least, greatest), both included.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

TASKS: Final = (
    "counting",
    "spatial_relation",
    "attribute_query",
    "comparison",
    "existence",
    "logic",
    "multi_hop",
)
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


class CountingDifficulty(Difficulty):
    counts: tuple[int, int]
    """Range of the answer; the four options are the four numbers in it."""
    distractors: Literal["none", "at_most_one", "exactly_one"]
    """How many of (colour, shape) a distractor shares with what is counted."""


class SpatialDifficulty(Difficulty):
    offset_px: tuple[int, int]
    """Distance of the centres along the axis that decides the answer."""
    off_axis_px: int
    """Greatest distance along the other axis ..."""
    off_axis_ratio: float
    """... and its greatest ratio to the deciding distance."""


class AttributeDifficulty(Difficulty):
    refer_by: Literal["shape", "size_and_shape", "extreme_position"]
    """How the question names the object."""
    times_each_colour: int
    """How often each of the four option colours occurs in the picture."""
    large_px: tuple[int, int] = (0, 0)
    """Extent of `large` objects (`size_px` is then that of the small ones)."""
    margin_px: int = 0
    """Least distance, of centres and of edges, between the extreme object and the next of its shape."""


class ComparisonDifficulty(Difficulty):
    ratio: float
    """Least ratio between the extreme object's extent and the runner-up's."""
    slack: float
    """The runner-up's ratio is at most `ratio * slack`."""
    margin_px: int
    """Least difference between the same two extents."""
    extreme_px: tuple[int, int]
    """Extent of the largest object, when the largest is asked for ..."""
    smallest_px: tuple[int, int]
    """... and of the smallest, when that is."""
    n_beyond: int
    """Objects of other shapes that are larger (smaller) than the answer."""


class ExistenceDifficulty(Difficulty):
    foils: Literal["share_nothing", "share_one", "recombine"]
    """What a named, absent object has in common with the objects present."""


class LogicDifficulty(Difficulty):
    n_atoms: int
    """Atoms in each statement."""
    quantifiers: bool
    """Whether `all`, `not all`, `no` and `some` occur."""


class HopDifficulty(Difficulty):
    grid: int
    """Rows and columns; every cell holds an object."""
    hops: int
    """Moves from the named start."""
    jitter_px: int
    """Greatest shift of an object from its cell's centre, along each axis."""


DIFFICULTY: Final[dict[tuple[str, str], Difficulty]] = {
    ("counting", "easy"): CountingDifficulty(
        size_px=(44, 72), gap_px=24, n_objects=4, counts=(1, 4), distractors="none"
    ),
    ("counting", "medium"): CountingDifficulty(
        size_px=(36, 56), gap_px=12, n_objects=12, counts=(4, 7), distractors="at_most_one"
    ),
    ("counting", "hard"): CountingDifficulty(
        size_px=(24, 48), gap_px=8, n_objects=18, counts=(6, 9), distractors="exactly_one"
    ),
    ("spatial_relation", "easy"): SpatialDifficulty(
        size_px=(48, 72), gap_px=24, n_objects=2, offset_px=(160, 240), off_axis_px=20, off_axis_ratio=1.0
    ),
    ("spatial_relation", "medium"): SpatialDifficulty(
        size_px=(36, 56), gap_px=16, n_objects=4, offset_px=(96, 160), off_axis_px=448, off_axis_ratio=0.4
    ),
    ("spatial_relation", "hard"): SpatialDifficulty(
        size_px=(28, 44), gap_px=8, n_objects=8, offset_px=(56, 96), off_axis_px=448, off_axis_ratio=0.6
    ),
    ("attribute_query", "easy"): AttributeDifficulty(
        size_px=(48, 72), gap_px=24, n_objects=4, refer_by="shape", times_each_colour=1
    ),
    ("attribute_query", "medium"): AttributeDifficulty(
        size_px=(32, 44), gap_px=12, n_objects=8, refer_by="size_and_shape", times_each_colour=2, large_px=(72, 88)
    ),
    ("attribute_query", "hard"): AttributeDifficulty(
        size_px=(32, 44), gap_px=8, n_objects=12, refer_by="extreme_position", times_each_colour=3, margin_px=16
    ),
    ("comparison", "easy"): ComparisonDifficulty(
        size_px=(28, 112),
        gap_px=16,
        n_objects=4,
        ratio=1.6,
        slack=2.0,
        margin_px=6,
        extreme_px=(80, 112),
        smallest_px=(28, 44),
        n_beyond=0,
    ),
    ("comparison", "medium"): ComparisonDifficulty(
        size_px=(24, 112),
        gap_px=12,
        n_objects=6,
        ratio=1.3,
        slack=1.15,
        margin_px=6,
        extreme_px=(64, 92),
        smallest_px=(36, 48),
        n_beyond=2,
    ),
    ("comparison", "hard"): ComparisonDifficulty(
        size_px=(24, 96),
        gap_px=8,
        n_objects=8,
        ratio=1.15,
        slack=1.08,
        margin_px=6,
        extreme_px=(52, 72),
        smallest_px=(40, 52),
        n_beyond=2,
    ),
    ("existence", "easy"): ExistenceDifficulty(size_px=(48, 72), gap_px=24, n_objects=3, foils="share_nothing"),
    ("existence", "medium"): ExistenceDifficulty(size_px=(32, 44), gap_px=12, n_objects=6, foils="share_one"),
    ("existence", "hard"): ExistenceDifficulty(size_px=(20, 28), gap_px=8, n_objects=10, foils="recombine"),
    ("logic", "easy"): LogicDifficulty(size_px=(48, 72), gap_px=24, n_objects=4, n_atoms=1, quantifiers=False),
    ("logic", "medium"): LogicDifficulty(size_px=(36, 56), gap_px=12, n_objects=6, n_atoms=2, quantifiers=False),
    ("logic", "hard"): LogicDifficulty(size_px=(28, 44), gap_px=8, n_objects=8, n_atoms=3, quantifiers=True),
    ("multi_hop", "easy"): HopDifficulty(size_px=(56, 80), gap_px=24, n_objects=9, grid=3, hops=1, jitter_px=12),
    ("multi_hop", "medium"): HopDifficulty(size_px=(44, 60), gap_px=16, n_objects=16, grid=4, hops=2, jitter_px=8),
    ("multi_hop", "hard"): HopDifficulty(size_px=(36, 52), gap_px=12, n_objects=25, grid=5, hops=3, jitter_px=6),
}
