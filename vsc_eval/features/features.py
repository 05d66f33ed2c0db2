"""What `vsc-eval sae select` keeps beside an intervention for the controls: the harvest, and every feature's score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.files import replacing
from vsc_eval.interventions.activations import PooledActivations, Pooling
from vsc_eval.interventions.harvest import Firing, Harvest
from vsc_eval.interventions.select import Scalar, ScoreTable, SelectionRule
from vsc_eval.records import Record
from vsc_eval.sae.quality import ReconstructionQuality
from vsc_eval.sae.tensors import write_tensors

TENSORS_FILE = "features.safetensors"
ITEMS_FILE = "features.json"
SCORES_FILE = "scores.safetensors"

_MEND = "Run `vsc-eval sae select --keep-features` again."


class HarvestItems(Record):
    """`features.json`: the rows of `features.safetensors`, and what they were made from."""

    schema_version: Literal[1] = 1
    origin: dict[str, Scalar]
    """Model, SAE, layer, positions, split and generator."""
    pooling: Pooling
    item_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    orbits: tuple[str, ...]
    reconstruction: ReconstructionQuality
    """Of the same tokens."""

    def key(self) -> str:
        """Equal exactly when the features must be; `features.safetensors` carries it too."""
        return harvest_key(self.origin, self.pooling, self.item_ids)


def harvest_key(origin: dict[str, Scalar], pooling: Pooling | None, item_ids: Sequence[str]) -> str:
    """First 16 hex digits of the sha256 of all that decides a harvest."""
    payload = json.dumps([origin, pooling, list(item_ids)], sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class KeptHarvest:
    """A harvest with the SAE's figures on the same tokens."""

    harvest: Harvest
    pooling: Pooling
    reconstruction: ReconstructionQuality

    @property
    def items(self) -> HarvestItems:
        own = self.harvest
        return HarvestItems(
            origin=dict(own.origin),
            pooling=self.pooling,
            item_ids=own.item_ids,
            tasks=own.tasks,
            orbits=own.orbits,
            reconstruction=self.reconstruction,
        )


def save_harvest(kept: KeptHarvest, folder: Path) -> None:
    """Write both files, the tensors first. Raises BackendError if the folder cannot be written."""
    own = kept.harvest
    tensors = {
        "values": own.pooled.values,
        "fired": own.pooled.fired.to(torch.uint8),
        "frequency": own.firing.frequency,
        "strength": own.firing.strength,
    }
    write_tensors(folder / TENSORS_FILE, tensors, {"key": kept.items.key()})
    with replacing(folder / ITEMS_FILE) as partial:
        partial.write_text(kept.items.model_dump_json() + "\n", encoding="utf-8")


def load_harvest(folder: Path) -> Harvest:
    """The harvest that `vsc-eval sae select --keep-features` left in an intervention's folder.

    Raises DataError if it is missing or damaged, or if its two files are of different runs.
    """
    return read_harvest(folder).harvest


def read_harvest(folder: Path) -> KeptHarvest:
    """The same with the SAE's figures. Raises like `load_harvest`."""
    path = folder / ITEMS_FILE
    try:
        items = HarvestItems.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no harvest: there is no {ITEMS_FILE}.", hint=_MEND) from error
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint=_MEND) from error
    tensors, metadata = _read_tensors(folder / TENSORS_FILE)
    if metadata.get("key") != items.key():
        raise DataError(f"{TENSORS_FILE} and {ITEMS_FILE} in {folder} are of different runs.", hint=_MEND)
    n, n_features = tensors["values"].shape
    if n != len(items.item_ids) or any(len(tensors[name]) != n_features for name in ("frequency", "strength")):
        raise DataError(f"{folder / TENSORS_FILE} has other shapes than {ITEMS_FILE} says.", hint=_MEND)
    harvest = Harvest(
        pooled=PooledActivations(tensors["values"], tensors["fired"].bool()),
        firing=Firing(tensors["frequency"], tensors["strength"]),
        item_ids=items.item_ids,
        tasks=items.tasks,
        orbits=items.orbits,
        origin=items.origin,
    )
    return KeptHarvest(harvest, items.pooling, items.reconstruction)


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read, it may be truncated: {error}.", hint=_MEND) from error


def save_scores(table: ScoreTable, rule: SelectionRule, folder: Path) -> None:
    """`scores.safetensors`: float64 `scores` and uint8 `eligible` [tasks, F]; tasks and rule are its metadata."""
    # One entry, since safetensors writes several in an order that changes from run to run.
    made_by = {"made_by": json.dumps({"tasks": table.tasks, "rule": rule.model_dump(mode="json")})}
    tensors = {"scores": torch.from_numpy(table.scores), "eligible": torch.from_numpy(table.eligible).to(torch.uint8)}
    write_tensors(folder / SCORES_FILE, tensors, made_by)


def load_scores(folder: Path) -> tuple[tuple[str, ...], Tensor]:
    """(tasks, scores [tasks, F]) of every feature, selected or not. Raises DataError."""
    tensors, metadata = _read_tensors(folder / SCORES_FILE)
    if "scores" not in tensors or "made_by" not in metadata:
        raise DataError(f"{folder / SCORES_FILE} holds no scores.", hint=_MEND)
    return tuple(json.loads(metadata["made_by"])["tasks"]), tensors["scores"]


def drop_harvest(folder: Path) -> None:
    """Delete what is kept of another selection: beside a new intervention it would be taken for the intervention's
    own."""
    for name in (ITEMS_FILE, TENSORS_FILE, SCORES_FILE):
        (folder / name).unlink(missing_ok=True)
