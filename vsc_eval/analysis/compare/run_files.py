"""Read a finished run's folder: run.yaml (of a study: study.yaml) says how it was made, answers.parquet and the two
files beside it what was asked and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.parquet import file_hash, read_table, table_files
from vsc_eval.errors import DataError, SpecError

RUN_FILES = ("run.yaml", "study.yaml")
"""Which of them is there says what made the folder; both have the sections that are read here."""

LOCAL_FILE = "local.yaml"
"""When and on what it was computed; a folder without it is read all the same."""


@dataclass(frozen=True)
class FinishedRun:
    """A run as its folder tells it."""

    path: Path
    settings: Mapping[str, Any]
    """Section `settings` of run.yaml; empty where a writer has none."""
    hashes: Mapping[str, Any]
    attempts: tuple[Mapping[str, Any], ...]
    """When and on what it was computed, one entry for each start."""
    table: AnswerTable

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each item in the table."""
        return {item.item_id: place for place, item in enumerate(self.table.items)}


def read_run(path: Path) -> FinishedRun:
    """Read and check a run's folder.

    Raises SpecError if it is no run, is unfinished, or is of another version; DataError if a file is damaged.
    """
    # A folder without any is named by the first.
    file = next((path / name for name in RUN_FILES if (path / name).is_file()), path / RUN_FILES[0])
    document = _document(file)
    _check_files(file, document)
    table = read_table(path)
    _check_table(path / table_files()[-1], table)
    local = _document(path / LOCAL_FILE) if (path / LOCAL_FILE).is_file() else document
    return FinishedRun(
        path=path,
        settings=_section(document, "settings"),
        hashes=_section(document, "hashes"),
        attempts=tuple(entry for entry in local.get("attempts") or () if isinstance(entry, dict)),
        table=table,
    )


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


def _check_files(file: Path, document: Mapping[str, Any]) -> None:
    """The section `files`, which is written last: name -> sha256. A writer that leaves a hash out gives up the check
    for damage."""
    section = document.get("files")
    if section is None:
        raise SpecError(
            f"The run in {file.parent} is not finished: its {file.name} does not say what is in {table_files()[-1]}.",
            hint="Give the command that made it again, with the same --out: stored answers are not computed again. "
            "That also fixes a run of an earlier version, which wrote no such file.",
        )
    if not isinstance(section, dict):
        raise _damaged(file, "its section `files` is not as it was written")
    for name in table_files():
        if not (file.parent / name).is_file():
            raise _damaged(file.parent / name, "it is not there")
        stamp = section.get(name)
        if stamp is not None and file_hash(file.parent / name) != stamp:
            raise _damaged(file.parent / name, f"it is not what {file.name} says was written")


def _check_table(file: Path, table: AnswerTable) -> None:
    """What a table of another writer may have wrong that its reader takes."""
    if len({item.item_id for item in table.items}) < len(table.items):
        raise _damaged(file, "an item is there twice")
    there = (~np.isnan(table.main.option_logprobs)).sum(-1)
    n_options = np.array([len(item.options) for item in table.items])
    wrong = np.argwhere((there != 0) & (there != n_options))
    if len(wrong):
        row, place = wrong[0]
        raise _damaged(
            file,
            f"item '{table.items[place].item_id}' has {there[row, place]} log-probabilities under "
            f"'{table.names[row]}' for {n_options[place]} options",
        )


def _damaged(file: Path, what: str) -> DataError:
    return DataError(
        f"{file} is damaged: {what}.",
        hint="Give the command that made the run again: stored answers are not computed again. Or restore the file.",
    )
