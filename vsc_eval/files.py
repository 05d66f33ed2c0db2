"""Hashes, and writing files so that a crash never leaves half of one and no two processes write at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import lock_descriptor

from vsc_eval.errors import BackendError

if TYPE_CHECKING:
    from PIL import Image

NO_PICTURE = "none"


def file_hash(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(*texts: str) -> str:
    """First 16 hex digits of the sha256 of texts, one after the other."""
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]


def picture_hash(*images: Image.Image) -> str:
    """First 16 hex digits of the sha256 of mode, size and all pixels of RGB pictures; `none` without a picture."""
    if not images:
        return NO_PICTURE
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.mode}{image.size}".encode())
        digest.update(image.tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends without an error. Raises
    BackendError, naming the path, if the folder cannot be written or the disk is full."""
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


def write_text(path: Path, text: str) -> None:
    """Write a file at once or not at all, in UTF-8. Raises BackendError as `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def ensure_writable(folder: Path) -> None:
    """Create `folder` and try a file in it: a long job fails at its start and not at its end. Raises BackendError."""
    probe = folder / ".writable"
    with replacing(probe) as partial:
        partial.touch()
    probe.unlink(missing_ok=True)


def take_lock(descriptor: int, path: Path, *, wait: bool = False) -> bool:
    """Lock the open file or folder `path` until it is closed or the process ends; with `wait`, as soon as it is free.
    False if another process holds it. Raises BackendError where there are no locks, which is not the same."""
    try:
        return lock_descriptor(descriptor, blocking=wait)
    except OSError as error:
        raise BackendError(
            f"{path} cannot be locked: {error.strerror or error}.",
            hint="Work in a folder on a local disk: some network drives know no locks.",
        ) from error


@contextmanager
def locked_folder(folder: Path, what: str, log: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold a folder, which is `what`, for this process until the block ends; waits for another one, after saying so.
    The folder itself is locked: there is no lock file to be committed. Raises BackendError if it cannot be locked."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError as error:
        raise BackendError(
            f"{folder} cannot be opened: {error.strerror or error}.", hint=f"Name the folder of {what}."
        ) from error
    try:
        if not take_lock(handle, folder):
            log(f"Waiting for another process that writes to {folder} ...")
            take_lock(handle, folder, wait=True)
        yield
    finally:
        os.close(handle)
