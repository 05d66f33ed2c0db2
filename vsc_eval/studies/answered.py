"""What items were answered under many conditions, as arrays on disk: `<stem>.safetensors` beside `<stem>.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

from vsc_eval.files import replacing
from vsc_eval.records import Record
from vsc_eval.synthetic import LETTERS, Item

Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]

READING_FIELDS = ("kl_options", "kl_vocab", "shift_edited", "shift_last")
"""Figures of a Reading that are kept."""


class AnsweredItem(Record):
    """What is kept of an item."""

    id: str
    cluster: str
    task: str
    level: str
    gold: str
    prompt: str
    image_hash: str

    @classmethod
    def of(cls, item: Item, image_hash: str) -> Self:
        return cls(
            id=item.id,
            cluster=item.orbit_id,
            task=item.task,
            level=item.level,
            gold=item.answer,
            prompt=item.prompt,
            image_hash=image_hash,
        )


@dataclass(frozen=True, eq=False)
class AnsweredItems:
    """Rows of the arrays are `conditions`, the baseline first; columns are the items."""

    items: tuple[AnsweredItem, ...]
    conditions: tuple[str, ...]
    logprobs: Floats
    """Of the option letters at the first answer token, nats [conditions, items, options]."""
    readings: dict[str, Floats]
    """Field of Reading -> [conditions, items]; NaN where it is undefined."""

    @property
    def codes(self) -> Codes:
        """Place of the chosen option [conditions, items]: the likeliest, the first of equals."""
        codes: Codes = self.logprobs.argmax(-1).astype(np.int8)
        return codes

    @property
    def gold(self) -> Codes:
        """Place of the right option [items]."""
        return np.array([LETTERS.index(item.gold) for item in self.items], dtype=np.int8)

    def column(self, key: str) -> npt.NDArray[np.str_]:
        """One field of every item [items]."""
        return np.array([getattr(item, key) for item in self.items], dtype=np.str_)

    def row(self, condition: str) -> int:
        """The condition's row in the arrays."""
        return self.conditions.index(condition)

    def save(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Write both files and return their paths. Raises BackendError if that fails."""
        described, tensors = folder / f"{stem}.json", folder / f"{stem}.safetensors"
        with replacing(tensors) as partial:
            partial.write_bytes(save({"logprobs": self.logprobs, **self.readings}))
        with replacing(described) as partial:
            rows = [item.model_dump() for item in self.items]
            partial.write_text(json.dumps({"conditions": self.conditions, "items": rows}, indent=0) + "\n")
        return described, tensors

    @classmethod
    def load(cls, folder: Path, stem: str) -> Self:
        """What `save` wrote."""
        described = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / f"{stem}.safetensors")
        logprobs = tensors.pop("logprobs")
        items = tuple(AnsweredItem.model_validate(row) for row in described["items"])
        return cls(items, tuple(described["conditions"]), logprobs, tensors)
