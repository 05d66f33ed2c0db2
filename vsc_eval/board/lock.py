"""One writer of a board at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vsc_eval.errors import BackendError
from vsc_eval.files import take_lock


@contextmanager
def locked(board: Path, log: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the board's folder for this process until the block ends; waits for another one, after saying so.

    The folder itself is locked, so that there is no lock file to be committed. The lock ends with the process. Raises
    BackendError for a folder that cannot be locked.
    """
    try:
        handle = os.open(board, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError as error:
        raise BackendError(
            f"{board} cannot be opened: {error.strerror or error}.", hint="Name the folder of a board."
        ) from error
    try:
        if not take_lock(handle, board):
            log(f"Waiting for another process that writes to {board} ...")
            take_lock(handle, board, wait=True)
        yield
    finally:
        os.close(handle)
