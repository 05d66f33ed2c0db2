"""Knowing that a folder holds the finished outputs of the same inputs, untouched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from vsc_eval.files import file_hash, replacing
from vsc_eval.records import Record

R = TypeVar("R", bound=Record)


class Done(Record):
    """Written last: what it names is finished while the files are as they were."""

    schema_version: Literal[1] = 1
    inputs: str
    """Hash of everything that decides the outputs."""
    sha256: dict[str, str]
    """Of each output, by its path in the folder."""


def write_record(record: Record, path: Path) -> None:
    """Write `record` as JSON in one step. Raises BackendError if that fails."""
    with replacing(path) as partial:
        partial.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_record(model: type[R], path: Path) -> R | None:
    """The record that `path` holds, None if there is none or it cannot be read: then it is made again."""
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def mark_done(path: Path, inputs: str, outputs: Iterable[str]) -> None:
    """Write `path`: the `outputs` beside it are finished. Raises BackendError if that fails."""
    write_record(Done(inputs=inputs, sha256={name: file_hash(path.parent / name) for name in outputs}), path)


def is_done(path: Path, inputs: str, outputs: Iterable[str]) -> bool:
    """Whether `path` says that at least `outputs` are finished with these inputs, and no file changed since."""
    done = read_record(Done, path)
    if done is None or done.inputs != inputs or not set(outputs) <= set(done.sha256):
        return False
    files = [(path.parent / name, digest) for name, digest in done.sha256.items()]
    return all(file.is_file() and file_hash(file) == digest for file, digest in files)
