"""Atomic safetensors checkpoints of a training run: tensors, and its numbers and configuration in the header."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.tensors import write_tensors


def save_checkpoint(path: Path, identity: str, tensors: dict[str, Tensor], numbers: dict[str, int | float]) -> None:
    """Write `path` in one step: a killed run leaves the old file or the new one. Raises BackendError."""
    metadata = {"identity": identity, "numbers": json.dumps(numbers)}
    write_tensors(path, tensors, metadata)


def load_checkpoint(path: Path, identity: str) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    """What `save_checkpoint` wrote. Raises DataError if it is damaged, SpecError if `identity` is another run's."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"The checkpoint {path} cannot be read: {error}.", hint="Delete it to start from the beginning."
        ) from error
    if metadata.get("identity") != identity:
        raise SpecError(
            f"The checkpoint {path} is of a run with other settings.",
            hint="Repeat the settings of that run, delete the file, or choose another output folder.",
        )
    return tensors, json.loads(metadata["numbers"])
