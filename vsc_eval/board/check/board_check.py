"""All entries of a board: each by itself, against board.yaml, and beside the others."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vsc_eval.board.board import (
    BOARD_FILE,
    CARDS,
    ENTRIES,
    FIGURES,
    TABLES,
    BoardSpec,
    entry_files,
    identity,
    read_board_spec,
)
from vsc_eval.board.check.effect_check import effect_findings
from vsc_eval.board.check.interval_check import interval_findings
from vsc_eval.board.check.part_check import part_findings
from vsc_eval.board.check.problem import Finding, Problem
from vsc_eval.board.check.recount import Recount
from vsc_eval.board.check.row_check import row_findings
from vsc_eval.board.check.spec_check import spec_findings
from vsc_eval.board.check.union_check import union_findings
from vsc_eval.board.entry.read import read_entry
from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError

MOST_PER_ENTRY = 20
"""Problems that are told of one entry: one wrong answer shows in many sums."""


def check_board(path: Path, *, intervals: bool = False) -> tuple[Problem, ...]:
    """Everything that is wrong with the entries of the board in `path`, in the order of their files; with `intervals`
    their bounds are drawn anew as well.

    Raises SpecError if there is no board or its board.yaml is wrong.
    """
    return check_entries(path, intervals=intervals)[1]


def check_entries(
    path: Path, *, intervals: bool = False, advance: Callable[[int, int], None] = lambda done, total: None
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """The entries that could be read, by id, and the problems of all; `advance` is told (files checked, files)."""
    spec = read_board_spec(path)
    problems, entries = list(_foreign(path)), {}
    files = entry_files(path)
    for place, file in enumerate(files):
        advance(place, len(files))
        name = f"{ENTRIES}/{file.name}"
        try:
            entry = read_entry(file)
        except DataError as error:
            what = error.message.removeprefix(f"{file}: ").rstrip(".")
            problems.append(Problem(name, "", what, error.hint))
            continue
        entries[name] = entry
        problems += [Problem(name, f.place, f.what, f.hint) for f in entry_findings(entry, spec, intervals=intervals)]
        if file.name != f"{entry.id}.json":
            problems.append(Problem(name, "id", f"the entry is {entry.id}", f"Name the file {entry.id}.json."))
    advance(len(files), len(files))
    problems += [*_twice(entries), *_other_names(entries)]
    return tuple(sorted(entries.values(), key=lambda entry: entry.id)), tuple(problems)


def entry_findings(entry: Entry, spec: BoardSpec, *, intervals: bool = False) -> tuple[Finding, ...]:
    """What is wrong with one entry, by itself and for the board of that spec; the first of many."""
    found: list[Finding] = []
    recount = Recount(entry)
    for findings in (
        spec_findings(entry, spec),
        part_findings(entry),
        row_findings(entry, recount),
        effect_findings(entry, recount),
        interval_findings(entry, recount) if intervals else (),
        union_findings(entry, recount) if intervals else (),
    ):
        for finding in findings:
            found.append(finding)
            if len(found) == MOST_PER_ENTRY:
                return tuple(found)
    return tuple(found)


def _foreign(path: Path) -> Iterator[Problem]:
    """What somebody put into entries/, or in the place of a folder. A killed writer's partial file is not meant: the
    next build takes it away."""
    for name in (ENTRIES, CARDS, FIGURES, TABLES):
        if (path / name).is_symlink():
            yield Problem(name, "", "it is a link, and a build would write where it leads", "Remove the link.")
    folder = path / ENTRIES
    known = set(entry_files(path))
    if folder.exists() and not folder.is_dir():
        yield Problem(ENTRIES, "", "it is no folder", "Restore it from git.")
    for found in sorted(folder.iterdir()) if folder.is_dir() else ():
        is_left = found.name.startswith(".") and found.name.endswith(".partial") and not found.is_dir()
        if found not in known and not is_left:
            yield Problem(
                f"{ENTRIES}/{found.name}",
                "",
                "this is no entry",
                f"{ENTRIES}/ holds the JSON files of entries and nothing else: move it out.",
            )


def _twice(entries: dict[str, Entry]) -> Iterator[Problem]:
    """The same model asked the same under the same conditions, whatever name it was given."""
    first: dict[str, str] = {}
    for name, entry in entries.items():
        twin = first.setdefault(entry.asked, name)
        if twin != name:
            yield Problem(
                name,
                "id",
                f"it is of the same model, items and conditions as {twin}",
                f"Keep one of the two. ({BOARD_FILE} asks every model once.)",
            )


def name_of_known(entry: Entry, others: Iterable[Entry]) -> str | None:
    """What `others` call the model of the entry, if another name: a model has one row, and so one name."""
    names = (known.model.name for known in others if identity(known) == identity(entry))
    return next((name for name in names if name != entry.model.name), None)


def _other_names(entries: dict[str, Entry]) -> Iterator[Problem]:
    read: list[Entry] = []
    for name, entry in entries.items():
        # The same model, items and conditions are told already.
        known = name_of_known(entry, [other for other in read if other.asked != entry.asked])
        read.append(entry)
        if known is not None:
            yield Problem(
                name,
                "model.name",
                f"it is '{entry.model.name:.80}', and another entry calls the same model '{known:.80}'",
                f"Publish the run again with `--name {shlex.quote(known[:80])} --replace`.",
            )
