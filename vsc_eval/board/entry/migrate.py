"""Entries of earlier schema versions are read by migrating their plain data, one version at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vsc_eval.board.records import ENTRY_SCHEMA_VERSION
from vsc_eval.errors import DataError

Document = dict[str, Any]
Migration = Callable[[Document], Document]

MIGRATIONS: dict[int, Migration] = {}
"""Version -> what makes an entry's plain data of that version one of the next. An entry that was once published stays
readable for ever, so none is ever taken out."""


def migrated(
    document: Document,
    source: str,
    *,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    current: int = ENTRY_SCHEMA_VERSION,
) -> Document:
    """The document in the `current` version; unchanged if it has it already.

    Raises DataError, naming `source`, for a version that is newer, missing or none at all.
    """
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(
            f"{source}: at 'schema_version': {version!r:.50} is no version.",
            hint="Restore the file, or publish the run again.",
        )
    if version > current:
        raise DataError(
            f"{source}: at 'schema_version': the entry is of version {version}; this vsc-eval reads up to {current}.",
            hint="Update vsc-eval.",
        )
    for step in range(version, current):
        document = migrations[step](document) | {"schema_version": step + 1}
    return document
