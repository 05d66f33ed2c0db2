"""A board's folder: board.yaml says what is asked of every model, entries/ holds one folder for each run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from vsc_eval.answers.answer_table import AskedItem, Scoring
from vsc_eval.answers.finished_run import read_run
from vsc_eval.errors import DataError, SpecError
from vsc_eval.files import short_hash
from vsc_eval.mistakes import explain
from vsc_eval.specs import Spec, load_yaml_spec, save_yaml_spec
from vsc_eval.synthetic import TASKS
from vsc_eval.tables.numbers import counted

BOARD_FILE = "board.yaml"
FOLDERS = ENTRIES, CARDS, FIGURES, TABLES = "entries", "cards", "figures", "tables"
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
    scoring: Scoring
    generator_version: str | None = None
    tasks: dict[str, BoardTask]

    @property
    def n_items(self) -> int:
        return sum(task.n_items for task in self.tasks.values())

    def tasks_of(self, kind: TaskKind) -> tuple[str, ...]:
        """Names of the tasks of a kind, in the order of board.yaml."""
        return tuple(name for name, task in self.tasks.items() if task.kind == kind)

    @property
    def levels(self) -> tuple[str, ...]:
        """Of the synthetic tasks, in the order of board.yaml."""
        return tuple(dict.fromkeys(level for name in self.tasks_of("synthetic") for level in self.tasks[name].levels))

    @property
    def asked(self) -> str:
        """`420 items of 7 synthetic tasks and 1 external data set`."""
        n_synthetic, n_external = len(self.tasks_of("synthetic")), len(self.tasks_of("external"))
        parts = [counted(n_synthetic, "synthetic task")] if n_synthetic else []
        parts += [counted(n_external, "external data set")] if n_external else []
        return f"{counted(self.n_items, 'item')} of {' and '.join(parts)}"


def asked_hash(items: Sequence[AskedItem]) -> str:
    """First 16 hex digits of the sha256 of what was asked in these items: ids, clusters, golds, prompts, pictures. The
    letters and the model's answers are left out, so two models that were asked the same have the same hash."""
    lines = sorted([i.item_id, i.cluster, i.cluster_kind, i.gold, i.prompt_hash, i.image_hash] for i in items)
    return short_hash(json.dumps(lines, ensure_ascii=False))


def tasks_asked(items: Sequence[AskedItem]) -> dict[str, BoardTask]:
    """The tasks of a board that asks exactly these items."""
    found: dict[str, dict[str, list[AskedItem]]] = {}
    for item in items:
        found.setdefault(item.task, {}).setdefault(item.level or NO_LEVEL, []).append(item)
    return {
        task: BoardTask(
            kind="synthetic" if task in TASKS else "external",
            levels={level: Group(n=len(own), sha256=asked_hash(own)) for level, own in levels.items()},
        )
        for task, levels in found.items()
    }


def spec_of(items: Sequence[AskedItem], *, name: str, generator_version: str | None, **about: Any) -> BoardSpec:
    """The spec of a board that asks exactly these items. Raises SpecError for a name that a board cannot have."""
    tasks = tasks_asked(items)
    version = generator_version if any(task.kind == "synthetic" for task in tasks.values()) else None
    try:
        return BoardSpec(name=name, tasks=tasks, generator_version=version, **about)
    except ValidationError as error:
        if any(fault["loc"] == ("name",) for fault in error.errors(include_url=False)):
            raise SpecError(
                f"'{name}' is no name of a board, which its folder's name is.",
                hint="Name the folder in lower-case letters, digits, dots, hyphens and underscores, at most 60.",
            ) from error
        raise explain(error, BoardSpec, f"The board '{name}'") from error


def new_board(path: Path, runs: Sequence[Path], *, title: str | None = None, description: str = "") -> BoardSpec:
    """Write the board.yaml of a board that asks what these runs asked; nothing is published.

    Raises SpecError for a board that is there already, a folder's name that is none for a board, or runs that asked the
    same task differently.
    """
    if (path / BOARD_FILE).exists():
        raise SpecError(
            f"{path} is a board already.", hint=f"Add the run to it: `vsc-eval publish {runs[0]} --to {path}`."
        )
    asked: dict[tuple[str, str], AskedItem] = {}
    tasks: dict[str, BoardTask] = {}
    scorings: list[Scoring] = []
    versions: set[str | None] = set()
    for run in runs:
        found = read_run(run)
        if not found.table.items:
            raise DataError(f"The run in {run} has no items.", hint="Name another run.")
        scorings.append(scoring_of(found.table.items))
        if scorings[-1] != scorings[0]:
            raise SpecError(f"{run} was read by another scoring.", hint="A board asks all items in one way.")
        own = tasks_asked(found.table.items)
        for task, levels in own.items():
            if tasks.setdefault(task, levels) != levels:
                raise SpecError(f"{run} asked other items of '{task}'.", hint="Name runs that asked the same items.")
        if any(task in TASKS for task in own):
            versions.add(found.hashes.get("generator_version", found.results.get("generator_version")))
        asked |= {(item.task, item.item_id): item for item in found.table.items}
    versions.discard(None)
    if len(versions) > 1:
        raise SpecError("The runs' items are of several generator versions.", hint="Name runs of one version.")
    name, version = path.resolve().name, next(iter(versions), None)
    about = {"title": title or name, "description": description, "scoring": scorings[0]}
    spec = spec_of(tuple(asked.values()), name=name, generator_version=version, **about)
    save_yaml_spec(path / BOARD_FILE, spec)
    return spec


def scoring_of(items: Sequence[AskedItem]) -> Scoring:
    """How all items were asked. Raises SpecError if not all in one way."""
    ways = sorted({item.scoring for item in items})
    if len(ways) != 1:
        raise SpecError(
            f"The run's items were asked in {len(ways)} ways ({', '.join(ways) or 'there are none'}).",
            hint="A board asks all items in one way: publish a run of one scoring.",
        )
    return ways[0]


def read_board_spec(path: Path) -> BoardSpec:
    """The board.yaml of a board's folder. Raises SpecError if there is none or it is wrong."""
    if not (path / BOARD_FILE).is_file():
        raise SpecError(
            f"{path} is no board: it has no {BOARD_FILE}.",
            hint=f"Make one with `vsc-eval board new {path} --from RUN`, or name a board's folder.",
        )
    return load_yaml_spec(path / BOARD_FILE, BoardSpec)


def entry_folders(path: Path) -> list[Path]:
    """The folders of the entries of the board in `path`, by name."""
    # A link may lead out of the board, to what changes without it.
    found = (each for each in (path / ENTRIES).glob("[!.]*") if each.is_dir() and not each.is_symlink())
    return sorted(found)
