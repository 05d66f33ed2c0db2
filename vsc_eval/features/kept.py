"""What `vsc-eval sae select` keeps beside an intervention for the controls: the harvest, and every feature's score."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vsc_eval.errors import DataError
from vsc_eval.files import short_hash, write_text
from vsc_eval.interventions.harvest import Harvest, PooledActivations
from vsc_eval.interventions.select import ScoreTable, SelectionRule
from vsc_eval.sae.quality import Firing
from vsc_eval.sae.readers.files import load_tensors, write_tensors

TENSORS_FILE = "features.safetensors"
ITEMS_FILE = "features.json"
SCORES_FILE = "scores.safetensors"
KEPT_FILES = (ITEMS_FILE, TENSORS_FILE, SCORES_FILE)

_HINT = "Run `vsc-eval sae select --keep-features` again."


def key_of(*decided_by: Any) -> str:
    """First 16 hex digits of the sha256 of JSON-able data."""
    return short_hash(json.dumps(decided_by, sort_keys=True))


def harvest_key(origin: dict[str, Any], pooling: str | None, item_ids: Sequence[str]) -> str:
    """Equal exactly when the features of a harvest must be; both of its files carry it."""
    return key_of(origin, pooling, list(item_ids))


def save_harvest(harvest: Harvest, folder: Path) -> None:
    """Write both files, the tensors first. Raises BackendError if the folder cannot be written."""
    tensors = {
        "values": harvest.pooled.values,
        "fired": harvest.pooled.fired.to(torch.uint8),
        "frequency": harvest.firing.frequency,
        "strength": harvest.firing.strength,
    }
    key = harvest_key(harvest.origin, harvest.pooling, harvest.item_ids)
    write_tensors(folder / TENSORS_FILE, tensors, {"key": key})
    write_text(folder / ITEMS_FILE, harvest.model_dump_json() + "\n")


def load_harvest(folder: Path) -> Harvest:
    """The harvest that `vsc-eval sae select --keep-features` left in an intervention's folder.

    Raises DataError if it is missing or damaged, or if its two files are of different runs.
    """
    path = folder / ITEMS_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        tensors, metadata = load_tensors(folder / TENSORS_FILE, _HINT)
        if metadata.get("key") != harvest_key(told["origin"], told["pooling"], told["item_ids"]):
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
