"""Atomic writing of tensors as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from vsc_eval.errors import BackendError
from vsc_eval.files import replacing


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write `tensors` to `path` in one step: a killed run leaves the old file or the new one, never a part.

    Raises BackendError if the folder cannot be written or the disk is full.
    """
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        try:
            save_file(contiguous, partial, metadata=metadata)
        except SafetensorError as error:  # safetensors wraps the operating system's errors
            raise BackendError(
                f"{path} cannot be written: {error}.",
                hint="Choose a folder that you may write to, on a disk with space left.",
            ) from error
