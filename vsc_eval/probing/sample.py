"""The items that the probes learn from and those that they are tested on, and the three ways of asking them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, assert_never, get_args

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.probing.spec import SPLIT, ProbingSpec, Target
from vsc_eval.synthetic import LETTERS, LEVELS, Item, blind_image, make_items, render

Strings = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]

InputKind = Literal["real", "blank_image", "text_only"]
"""What the model is shown: the item's picture, a plain grey one, or none."""
INPUT_KINDS: tuple[InputKind, ...] = get_args(InputKind)

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, eq=False)
class Sample:
    """Items of one part, cell after cell, orbit after orbit."""

    part: Part
    items: tuple[Item, ...]

    @cached_property
    def orbits(self) -> Strings:
        """Orbit id of each item."""
        return np.array([item.orbit_id for item in self.items])

    @cached_property
    def cells(self) -> Strings:
        """`task/level` of each item."""
        return np.array([f"{item.task}/{item.level}" for item in self.items])

    def labels(self, target: Target) -> Strings:
        return np.array([getattr(item, target) for item in self.items])

    def rows(self, kind: InputKind) -> tuple[tuple[Item, ...], Ints]:
        """The items that have to be shown to the model, and for each item of the sample its place among them.

        Without its own picture an item says no more than its orbit's prompt, so one of the four is enough.
        """
        if kind == "real":
            return self.items, np.arange(len(self.items))
        _, first, place = np.unique(self.orbits, return_index=True, return_inverse=True)
        shown = tuple(self.items[index] for index in first)
        assert all(shown[p].prompt == item.prompt for p, item in zip(place, self.items, strict=True))
        return shown, place


def draw_samples(spec: ProbingSpec) -> dict[Part, Sample]:
    """The items of `spec`: the two parts share no scene and no wording."""
    n_train, n_test = spec.items_per_cell, spec.test_items_per_cell
    parts: dict[Part, Callable[[str, str], list[Item]]] = {
        "train": lambda task, level: make_items(SPLIT, task, level, n_train),
        "test": lambda task, level: make_items(SPLIT, task, level, n_train + n_test, paraphrase="heldout")[n_train:],
    }
    return {
        part: Sample(part, tuple(item for task in spec.tasks for level in LEVELS for item in make(task, level)))
        for part, make in parts.items()
    }


def to_prompt(item: Item, kind: InputKind) -> Prompt:
    """The item's question as `kind` shows it."""
    image: Image | None
    match kind:
        case "real":
            image = render(item.scene)
        case "blank_image":
            image = blind_image("grey")
        case "text_only":
            image = blind_image("none")
        case _:
            assert_never(kind)
    return Prompt(text=item.prompt, images=() if image is None else (image,), options=LETTERS)
