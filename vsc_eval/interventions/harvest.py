"""What a model's features did on the selection items: the selection rule, its controls and its stability read this.

`vsc-eval sae select` keeps it beside an intervention for the controls, with every feature's score.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, InstanceOf, model_validator
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.files import short_hash, write_text
from vsc_eval.interventions.select import Pooling, Scalar, ScoreTable, SelectionRule
from vsc_eval.records import Record
from vsc_eval.sae.model import SparseCodes
from vsc_eval.sae.quality import Firing, ReconstructionQuality
from vsc_eval.sae.readers.files import load_tensors, write_tensors

TENSORS_FILE = "features.safetensors"
ITEMS_FILE = "features.json"
SCORES_FILE = "scores.safetensors"
KEPT_FILES = (ITEMS_FILE, TENSORS_FILE, SCORES_FILE)

_HINT = "Run `vsc-eval sae select --keep-features` again."


@dataclass(frozen=True, eq=False)
class PooledActivations:
    """Feature activations of an item, pooled over its tokens; one row an item."""

    values: Tensor
    """Float32 [n, F]."""
    fired: Tensor
    """Bool [n, F]: the feature fired on at least one of the item's chosen tokens."""


def pool_codes(codes: SparseCodes, mask: Tensor, d_sae: int, how: Pooling) -> PooledActivations:
    """Pool codes [B, T, k] over the tokens that `mask` [B, T] chooses. mean: mean activation over the chosen tokens,
    silent ones count as 0; max: the largest; fired: 1 if any token fires the feature, else 0. Raises DataError, naming
    the rows, if an item has no chosen token."""
    n_tokens = mask.sum(1)
    if (n_tokens == 0).any():
        rows = (n_tokens == 0).nonzero().squeeze(1).tolist()
        raise DataError(
            f"No token is chosen in row(s) {rows} of the batch.",
            hint="Choose other positions: a prompt without an image has no image tokens.",
        )
    batch, _, k = codes.indices.shape
    values = torch.where(mask[..., None], codes.values, 0.0).reshape(batch, -1)
    indices = codes.indices.reshape(batch, -1)
    assert k == 0 or int(indices.max()) < d_sae, "codes of another SAE"
    largest = values.new_zeros(batch, d_sae).scatter_reduce_(1, indices, values, reduce="amax")
    fired = largest > 0
    if how == "mean":
        total = values.new_zeros(batch, d_sae).scatter_add_(1, indices, values)
        return PooledActivations(total / n_tokens[:, None], fired)
    return PooledActivations(largest if how == "max" else fired.to(torch.float32), fired)


class Harvest(Record):
    """Feature activations of the selection items, one row an item. All but the tensors is `features.json`."""

    schema_version: Literal[1] = 1
    origin: dict[str, Scalar]
    """Model, SAE, layer, positions, split and generator that it was made with."""
    pooling: Pooling = "mean"
    item_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    """Task of each item."""
    orbits: tuple[str, ...]
    """Orbit of each item: what is resampled and relabelled as a whole."""
    reconstruction: ReconstructionQuality | None = None
    """The SAE on the same tokens."""
    pooled: InstanceOf[PooledActivations] = Field(exclude=True, repr=False)
    firing: InstanceOf[Firing] = Field(exclude=True, repr=False)

    @model_validator(mode="after")
    def _one_row_an_item(self) -> Self:
        lengths = {len(self.pooled.values), len(self.item_ids), len(self.tasks), len(self.orbits)}
        assert len(lengths) == 1, lengths
        task_of = self.task_of_orbit()
        if any(task_of[orbit] != task for orbit, task in zip(self.orbits, self.tasks, strict=True)):
            raise DataError("An orbit holds items of two tasks.", hint="Give every orbit a name of its own.")
        return self

    @property
    def d_sae(self) -> int:
        return int(self.pooled.values.shape[1])

    @property
    def key(self) -> str:
        """Equal exactly when the features must be; both files carry it."""
        return key_of(self.origin, self.pooling, self.item_ids)

    def task_of_orbit(self) -> dict[str, str]:
        """Orbits in order of first appearance, each with its task."""
        return dict(zip(self.orbits, self.tasks, strict=True))


def key_of(*decided_by: Any) -> str:
    """First 16 hex digits of the sha256 of JSON-able data."""
    return short_hash(json.dumps(decided_by, sort_keys=True))


def save_harvest(harvest: Harvest, folder: Path) -> None:
    """Write both files, the tensors first. Raises BackendError if the folder cannot be written."""
    tensors = {
        "values": harvest.pooled.values,
        "fired": harvest.pooled.fired.to(torch.uint8),
        "frequency": harvest.firing.frequency,
        "strength": harvest.firing.strength,
    }
    write_tensors(folder / TENSORS_FILE, tensors, {"key": harvest.key})
    write_text(folder / ITEMS_FILE, harvest.model_dump_json() + "\n")


def load_harvest(folder: Path) -> Harvest:
    """The harvest that `vsc-eval sae select --keep-features` left in an intervention's folder. Raises DataError if it
    is missing or damaged, or if its two files are of different runs."""
    path = folder / ITEMS_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        tensors, metadata = load_tensors(folder / TENSORS_FILE, _HINT)
        if metadata.get("key") != key_of(told["origin"], told["pooling"], told["item_ids"]):
            raise DataError(f"{TENSORS_FILE} and {ITEMS_FILE} in {folder} are of different runs.", hint=_HINT)
        n, n_features = tensors["values"].shape
        if n != len(told["item_ids"]) or any(len(tensors[name]) != n_features for name in ("frequency", "strength")):
            raise DataError(f"{folder / TENSORS_FILE} has other shapes than {ITEMS_FILE} says.", hint=_HINT)
        pooled = PooledActivations(tensors["values"], tensors["fired"].bool())
        return Harvest(**told, pooled=pooled, firing=Firing(tensors["frequency"], tensors["strength"]))
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no harvest: there is no {ITEMS_FILE}.", hint=_HINT) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint=_HINT) from error


def save_scores(table: ScoreTable, rule: SelectionRule, folder: Path) -> None:
    """`scores.safetensors`: float64 `scores` and uint8 `eligible` [tasks, F]; tasks and rule are its metadata."""
    # One entry, since safetensors writes several in an order that changes from run to run.
    made_by = {"made_by": json.dumps({"tasks": table.tasks, "rule": rule.model_dump(mode="json")})}
    tensors = {"scores": torch.from_numpy(table.scores), "eligible": torch.from_numpy(table.eligible).to(torch.uint8)}
    write_tensors(folder / SCORES_FILE, tensors, made_by)
