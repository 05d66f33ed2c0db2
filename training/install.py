"""Move a finished run's model and its log into the package."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from vsc_eval.errors import DataError

MAX_WEIGHT_BYTES = 15_000_000
_LOG_LINES = 400
"""Lines of the training log that are kept: enough for a curve, small enough for a package."""


def install(work: Path, target: Path) -> None:
    """Copy `work/exported` and a thinned `work/log.jsonl` to `target`, replacing what is there.

    Raises DataError if the run has exported nothing yet, or its weights are larger than the package may carry.
    """
    exported = work / "exported"
    weights = exported / "model.safetensors"
    if not weights.is_file():
        raise DataError(
            f"{work} holds no exported model.", hint="Let `python -m training train` reach a checkpoint first."
        )
    size = weights.stat().st_size
    if size > MAX_WEIGHT_BYTES:
        raise DataError(
            f"{weights} has {size:,} bytes, more than the {MAX_WEIGHT_BYTES:,} that the package may carry.",
            hint="Train a smaller shape.",
        )
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(exported, fresh)
    _thin_log(work / "log.jsonl", fresh / "training_log.jsonl")
    if target.exists():
        shutil.rmtree(target)
    os.replace(fresh, target)


def _thin_log(source: Path, target: Path) -> None:
    lines = source.read_text(encoding="utf-8").splitlines()
    stride = max(1, -(-len(lines) // _LOG_LINES))
    kept = [line for i, line in enumerate(lines) if i % stride == 0 or i == len(lines) - 1]
    for line in kept:
        json.loads(line)  # a torn last line of a killed run must not be shipped
    target.write_text("\n".join(kept) + "\n", encoding="utf-8")
