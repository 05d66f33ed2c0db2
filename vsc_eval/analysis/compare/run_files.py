"""Read a finished run's folder: run.yaml (of a study: study.yaml) says how it was made, items.jsonl what was asked and
answered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vsc_eval.answers.items import ITEMS_FILE, ITEMS_SCHEMA_VERSION, ItemLine, ItemsStamp
from vsc_eval.errors import DataError, SpecError

RUN_FILES = ("run.yaml", "study.yaml")
"""Which of them is there says what made the folder; both have the sections that are read here."""


@dataclass(frozen=True)
class FinishedRun:
    """A run as its folder tells it."""

    path: Path
    settings: Mapping[str, Any]
    """Section `settings` of run.yaml; empty where a writer has none."""
    hashes: Mapping[str, Any]
    attempts: tuple[Mapping[str, Any], ...]
    """When and on what it was computed, one entry for each start."""
    lines: tuple[ItemLine, ...]

    @cached_property
    def by_id(self) -> dict[str, ItemLine]:
        return {line.id: line for line in self.lines}

    @cached_property
    def conditions(self) -> dict[str, int]:
        """Condition -> how many items were asked under it, in the order of the file."""
        counts: dict[str, int] = {}
        for line in self.lines:
            for name in line.answers:
                counts[name] = counts.get(name, 0) + 1
        return counts

    @property
    def conditions_of_all(self) -> list[str]:
        """Those under which every item was asked."""
        return [name for name, count in self.conditions.items() if count == len(self.lines)]


def read_run(path: Path) -> FinishedRun:
    """Read and check a run's folder.

    Raises SpecError if it is no run, is unfinished, or is of another version; DataError if a file is damaged.
    """
    # A folder without any is named by the first.
    file = next((path / name for name in RUN_FILES if (path / name).is_file()), path / RUN_FILES[0])
    document = _document(file)
    stamp = _stamp(file, document)
    return FinishedRun(
        path=path,
        settings=_section(document, "settings"),
        hashes=_section(document, "hashes"),
        attempts=tuple(entry for entry in _attempts(path, document) if isinstance(entry, dict)),
        lines=_lines(path / ITEMS_FILE, stamp, file.name),
    )


def _attempts(path: Path, document: Mapping[str, Any]) -> Sequence[Any]:
    local = path / "local.yaml"
    found = _document(local) if local.is_file() else document
    return found.get("attempts") or ()


def _document(file: Path) -> dict[str, Any]:
    try:
        # The C parser is ten times as fast, and is not in every build of PyYAML.
        document = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SpecError(
            f"{file.parent} is no run's folder: it has no {' or '.join(RUN_FILES)}.",
            hint="Name the folder that `vsc-eval run` or `vsc-eval study` was given with --out.",
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise _damaged(file, "it cannot be read as YAML") from error
    if not isinstance(document, dict):
        raise _damaged(file, "it holds no keys and values")
    return document


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name)
    return section if isinstance(section, dict) else {}


def _stamp(file: Path, document: Mapping[str, Any]) -> ItemsStamp:
    """The section `items`, which is written last."""
    section = document.get("items")
    if section is None:
        raise SpecError(
            f"The run in {file.parent} is not finished: its {file.name} does not say what is in {ITEMS_FILE}.",
            hint="Give the command that made it again, with the same --out: stored answers are not computed again. "
            "That also fixes a run of an earlier version, which wrote no such file.",
        )
    version = section.get("schema_version") if isinstance(section, dict) else None
    if isinstance(version, int) and version != ITEMS_SCHEMA_VERSION:
        raise SpecError(
            f"{file.with_name(ITEMS_FILE)} is of version {version}; this vsc-eval reads {ITEMS_SCHEMA_VERSION}.",
            hint="Give the command that made the run again with this version, or compare with that one.",
        )
    try:
        return ItemsStamp.model_validate(section)
    except ValidationError as error:
        raise _damaged(file, "its section `items` is not as it was written") from error


def _lines(file: Path, stamp: ItemsStamp, source: str) -> tuple[ItemLine, ...]:
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise _damaged(file, "it is not there") from error
    if stamp.sha256 is not None and hashlib.sha256(content).hexdigest() != stamp.sha256:
        raise _damaged(file, f"it is not what {source} says was written")
    lines = []
    for number, row in enumerate(content.splitlines(), start=1):
        try:
            lines.append(ItemLine.model_validate_json(row))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise _damaged(file, f"line {number}: {place + ': ' if place else ''}{first['msg']}") from error
    if len(lines) != stamp.n_items:
        raise _damaged(file, f"it has {len(lines)} items where {source} says {stamp.n_items}")
    if len({line.id for line in lines}) < len(lines):
        raise _damaged(file, "an item is there twice")
    for line in lines:
        for condition, values in line.option_logprobs.items():
            if values is not None and len(values) != len(line.asked.options):
                raise _damaged(
                    file,
                    f"item '{line.id}' has {len(values)} log-probabilities under '{condition}' for "
                    f"{len(line.asked.options)} options",
                )
    return tuple(lines)


def _damaged(file: Path, what: str) -> DataError:
    return DataError(
        f"{file} is damaged: {what}.",
        hint="Give the command that made the run again: stored answers are not computed again. Or restore the file.",
    )
