"""Read a finished run's folder: run.yaml (of a study: study.yaml) says how it was made, answers.parquet and the two
files beside it what was asked and answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.bounded import damaged, read_json
from vsc_eval.answers.parquet import read_table, table_files
from vsc_eval.answers.table_faults import shape_faults
from vsc_eval.errors import SpecError
from vsc_eval.files import file_hash

RUN_FILES = RUN, STUDY = "run.yaml", "study.yaml"
"""Which of them is there says what made the folder; both have the sections that are read here."""

LOCAL_FILE = "local.yaml"
"""When and on what it was computed; a folder without it is read all the same."""

RESULTS = "results.json"
AGAIN = "Give the command that made it again, with the same --out: stored answers are not computed again."


@dataclass(frozen=True)
class FinishedRun:
    """A run as its folder tells it."""

    path: Path
    is_study: bool
    document: Mapping[str, Any]
    """run.yaml or study.yaml."""
    attempts: tuple[Mapping[str, Any], ...]
    """When and on what it was computed, one entry for each start."""
    table: AnswerTable

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.section("settings")

    @property
    def hashes(self) -> Mapping[str, Any]:
        return self.section("hashes")

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of run.yaml; empty where a writer has none."""
        section = self.document.get(name)
        return section if isinstance(section, dict) else {}

    @cached_property
    def results(self) -> dict[str, Any]:
        """results.json. Raises SpecError if it is not there, DataError if it is damaged."""
        if not (self.path / RESULTS).is_file():
            raise SpecError(f"{self.path} has no {RESULTS}: it did not come to its end.", hint=AGAIN)
        return read_json(self.path / RESULTS)

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
    for _, fault in shape_faults(table):
        raise damaged(path / table_files()[-1], fault)
    local = _document(path / LOCAL_FILE) if (path / LOCAL_FILE).is_file() else document
    return FinishedRun(
        path=path,
        is_study=file.name == STUDY,
        document=document,
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
        raise damaged(file, "it cannot be read as YAML") from error
    if not isinstance(document, dict):
        raise damaged(file, "it holds no keys and values")
    return document


def _check_files(file: Path, document: Mapping[str, Any]) -> None:
    """The section `files`, which is written last: name -> sha256. A writer that leaves a hash out gives up the check
    for damage."""
    section = document.get("files")
    if section is None:
        raise SpecError(
            f"The run in {file.parent} is not finished: its {file.name} does not say what is in {table_files()[-1]}.",
            hint=f"{AGAIN} That also fixes a run of an earlier version, which wrote no such file.",
        )
    if not isinstance(section, dict):
        raise damaged(file, "its section `files` is not as it was written")
    for name in table_files():
        if not (file.parent / name).is_file():
            raise damaged(file.parent / name, "it is not there")
        stamp = section.get(name)
        if stamp is not None and file_hash(file.parent / name) != stamp:
            raise damaged(file.parent / name, f"it is not what {file.name} says was written")
