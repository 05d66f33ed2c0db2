"""Tensors on disk as safetensors: written in one step, read with their metadata."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vsc_eval.errors import BackendError, DataError
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


@contextmanager
def opened_tensors(path: Path, hint: str) -> Iterator[Any]:
    """A file of `write_tensors`, to take single tensors from. Raises DataError with `hint` if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read, it may be truncated: {error}.", hint=hint) from error


def load_tensors(path: Path, hint: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of such a file and its metadata. Raises like `opened_tensors`."""
    with opened_tensors(path, hint) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
