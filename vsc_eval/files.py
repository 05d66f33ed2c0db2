"""Writing files so that a crash never leaves half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vsc_eval.errors import BackendError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends without an error.

    Raises BackendError, naming the path, if the folder cannot be written or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise BackendError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that you may write to, on a disk with space left.",
        ) from error


def ensure_writable(folder: Path) -> None:
    """Create `folder` and try a file in it, so that a long job fails at its start and not at its end.

    Raises BackendError.
    """
    probe = folder / ".writable"
    with replacing(probe) as partial:
        partial.touch()
    probe.unlink(missing_ok=True)
