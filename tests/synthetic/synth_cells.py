"""Every item of the default sizes, looked at once and kept small: shared by the tests that need all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from benchmarks.prove import text_only_accuracy
from vsc_eval.errors import DataError
from vsc_eval.synthetic import COLOURS, DEFAULT_SIZES, LEVELS, TASKS, Item, make_items
from vsc_eval.synthetic.oracle import verify

CELLS = [(task, level) for task in TASKS for level in LEVELS]
COLOUR_NAMES = list(COLOURS)


@dataclass(frozen=True)
class Glance:
    """What shallow predictors may use of one item."""

    split: str
    question: str
    options: tuple[str, ...]
    gold: int
    ink: npt.NDArray[np.float64]
    """Pixels of each colour [8]."""


@dataclass(frozen=True)
class CellFacts:
    problems: tuple[str, ...]
    hashes: dict[str, list[str]]
    """Scene hashes per split."""
    text_only: float
    golds: Counter[int]
    least_visible_px: int
    glances: tuple[Glance, ...]


@cache
def cell_facts(task: str, level: str) -> CellFacts:
    """Verify all four splits of a cell."""
    items: list[Item] = []
    for split, n in DEFAULT_SIZES.items():
        items += make_items(split, task, level, n)
    problems, glances, least = [], [], 10**9
    hashes: dict[str, list[str]] = {split: [] for split in DEFAULT_SIZES}
    for item in items:
        hashes[item.split].append(item.scene.hash())
        try:
            seen = verify(item)
        except DataError as error:
            problems.append(str(error))
            continue
        ink = np.zeros(len(COLOUR_NAMES))
        for o in seen:
            ink[COLOUR_NAMES.index(o.colour)] += o.area
        least = min(least, *(o.area for o in seen))
        glances.append(Glance(item.split, item.question, item.options, item.gold, ink))
    return CellFacts(
        problems=tuple(problems),
        hashes=hashes,
        text_only=text_only_accuracy(items),
        golds=Counter(item.gold for item in items),
        least_visible_px=least,
        glances=tuple(glances),
    )
