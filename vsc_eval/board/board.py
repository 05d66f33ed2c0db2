"""A board's folder: board.yaml says what is asked of every model, entries/ holds one JSON for each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from vsc_eval.board.entry.read import read_entry
from vsc_eval.board.records import Entry, ItemTable
from vsc_eval.errors import SpecError
from vsc_eval.specs import Spec, explain, load_yaml_spec
from vsc_eval.synthetic import TASKS

BOARD_FILE = "board.yaml"
ENTRIES, CARDS, FIGURES, TABLES = "entries", "cards", "figures", "tables"
NO_LEVEL = "all"
"""Stands for the level of a task without levels."""


TaskKind = Literal["synthetic", "external"]


class Group(Spec):
    """Items of one task at one level."""

    n: int = Field(ge=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{16}$")
    """First 16 hex digits of `asked_hash`."""


class BoardTask(Spec):
    kind: TaskKind
    levels: dict[str, Group]
    """Level -> its items; the key of a task without levels is `all`."""

    @property
    def n_items(self) -> int:
        return sum(group.n for group in self.levels.values())


class BoardSpec(Spec):
    """board.yaml: what an entry must have been asked, item by item. An entry covers all synthetic tasks, or none, and
    any of the external ones."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._\-]*$", max_length=60)
    title: str
    description: str = ""
    url: str | None = Field(default=None, pattern=r"^https://[A-Za-z0-9._~:/?#@!&=+%\-]+$", max_length=300)
    """Where the board is published, for those who share an entry of it."""
    scoring: Literal["loglikelihood", "generate"]
    generator_version: str | None = None
    tasks: dict[str, BoardTask]

    @property
    def n_items(self) -> int:
        return sum(task.n_items for task in self.tasks.values())

    def tasks_of(self, kind: TaskKind) -> tuple[str, ...]:
        """Names of the tasks of a kind, in the order of board.yaml."""
        return tuple(name for name, task in self.tasks.items() if task.kind == kind)


@dataclass(frozen=True)
class Board:
    """A board that was read: all entries are valid by themselves and in the order of their ids."""

    path: Path
    spec: BoardSpec
    entries: tuple[Entry, ...]


Identity = tuple[str, str | None, str, str]


def identity(entry: Entry) -> Identity:
    """Fingerprint, revision, backend and scoring: entries that share them are of one model and add to each other."""
    return entry.model.fingerprint, entry.model.revision, entry.provenance.backend, entry.scoring


def rows_by_level(items: ItemTable) -> dict[str, dict[str, list[int]]]:
    """Task -> level (`all` where it has none) -> rows of its items."""
    found: dict[str, dict[str, list[int]]] = {}
    for row, (task, level) in enumerate(zip(items.task, items.level, strict=True)):
        found.setdefault(task, {}).setdefault(level or NO_LEVEL, []).append(row)
    return found


def asked_hash(items: ItemTable, rows: Iterable[int]) -> str:
    """First 16 hex digits of the sha256 of what was asked in these items: ids, clusters, golds, prompts, pictures.

    The letters and the model's answers are left out, so two models that were asked the same have the same hash.
    """
    lines = sorted(
        [items.id[i], items.cluster[i], items.cluster_kind[i], items.gold[i], items.prompt_hash[i], items.image_hash[i]]
        for i in rows
    )
    return hashlib.sha256(json.dumps(lines, ensure_ascii=False).encode()).hexdigest()[:16]


def spec_of(
    items: ItemTable,
    *,
    name: str,
    title: str,
    scoring: Literal["loglikelihood", "generate"],
    generator_version: str | None,
    description: str = "",
) -> BoardSpec:
    """The spec of a board that asks exactly these items. Raises SpecError for a name that a board cannot have."""
    tasks = {
        task: BoardTask(
            kind="synthetic" if task in TASKS else "external",
            levels={level: Group(n=len(rows), sha256=asked_hash(items, rows)) for level, rows in levels.items()},
        )
        for task, levels in rows_by_level(items).items()
    }
    try:
        return BoardSpec(
            name=name,
            title=title,
            description=description,
            scoring=scoring,
            generator_version=generator_version if any(task.kind == "synthetic" for task in tasks.values()) else None,
            tasks=tasks,
        )
    except ValidationError as error:
        if any(fault["loc"] == ("name",) for fault in error.errors(include_url=False)):
            raise SpecError(
                f"'{name}' is no name of a board, which its folder's name is.",
                hint="Name the folder in lower-case letters, digits, dots, hyphens and underscores, at most 60.",
            ) from error
        raise explain(error, BoardSpec, f"The board '{name}'") from error


def read_board_spec(path: Path) -> BoardSpec:
    """The board.yaml of a board's folder. Raises SpecError if there is none or it is wrong."""
    if not (path / BOARD_FILE).is_file():
        raise SpecError(
            f"{path} is no board: it has no {BOARD_FILE}.",
            hint=f"Make one with `vsc-eval board new {path} --from RUN`, or name a board's folder.",
        )
    return load_yaml_spec(path / BOARD_FILE, BoardSpec)


def entry_files(path: Path) -> list[Path]:
    """The files of the entries of the board in `path`, by name."""
    folder = path / ENTRIES
    # A link may lead out of the board, to what changes without it.
    return sorted(
        file
        for file in folder.glob("*.json")
        if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
    )


def load_board(path: Path) -> Board:
    """The board of a folder.

    Every entry fits the schema and is what was hashed when it was published; whether its figures follow from its
    answers is a matter of `check_board`. Raises SpecError if there is no board, DataError for the first bad entry.
    """
    spec = read_board_spec(path)
    entries = sorted((read_entry(file) for file in entry_files(path)), key=lambda entry: entry.id)
    return Board(path=path, spec=spec, entries=tuple(entries))
