"""All entries of a board: each by itself, against board.yaml, and beside the others."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from vsc_eval.board.board import (
    BOARD_FILE,
    CARDS,
    ENTRIES,
    FIGURES,
    TABLES,
    BoardSpec,
    entry_folders,
    identity,
    read_board_spec,
)
from vsc_eval.board.check.figure_check import figure_findings
from vsc_eval.board.check.form_check import form_findings
from vsc_eval.board.check.problem import Finding, Problem
from vsc_eval.board.check.spec_check import spec_findings
from vsc_eval.board.entry.folder import Parts, read_parts
from vsc_eval.board.entry.view import entry_of
from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError

MOST_PER_ENTRY = 20
"""Problems that are told of one entry: one wrong answer shows in many sums."""


def check_board(path: Path, *, intervals: bool = False) -> tuple[Problem, ...]:
    """Everything that is wrong with the entries of the board in `path`, in the order of their folders; with `intervals`
    their bounds are drawn anew as well.

    Raises SpecError if there is no board or its board.yaml is wrong.
    """
    return check_entries(path, intervals=intervals)[1]


def check_entries(
    path: Path, *, intervals: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """The entries that are right by themselves, by id, and the problems of all; `progress` is called with (entries
    checked, entries)."""
    spec = read_board_spec(path)
    problems, entries = list(_foreign(path)), {}
    folders = entry_folders(path)
    for place, folder in enumerate(folders):
        progress(place, len(folders))
        name = f"{ENTRIES}/{folder.name}"
        try:
            parts = read_parts(folder)
        except DataError as error:
            what = error.message.removeprefix(f"{folder}").removeprefix("/").rstrip(".")
            problems.append(Problem(name, "", what, error.hint))
            continue
        found = entry_findings(parts, spec, intervals=intervals)
        problems += [Problem(name, finding.place, finding.what, finding.hint) for finding in found]
        if folder.name != parts.about.id:
            problems.append(Problem(name, "id", f"the entry is {parts.about.id}", f"Name the folder {parts.about.id}."))
        if not found:
            entries[name] = entry_of(parts)
    progress(len(folders), len(folders))
    problems += [*_twice(entries), *_other_names(entries)]
    return tuple(sorted(entries.values(), key=lambda entry: entry.id)), tuple(problems)


def entry_findings(parts: Parts, spec: BoardSpec, *, intervals: bool = False) -> tuple[Finding, ...]:
    """What is wrong with one entry, by itself and for the board of that spec; the first of many."""
    found = chain(spec_findings(parts, spec), form_findings(parts), figure_findings(parts, drawn=intervals))
    return tuple(islice(found, MOST_PER_ENTRY))


def _foreign(path: Path) -> Iterator[Problem]:
    """What somebody put into entries/, or in the place of a folder. A killed writer's partial file is not meant: the
    next build takes it away."""
    for name in (ENTRIES, CARDS, FIGURES, TABLES):
        if (path / name).is_symlink():
            yield Problem(name, "", "it is a link, and a build would write where it leads", "Remove the link.")
    folder = path / ENTRIES
    known = set(entry_folders(path))
    if folder.exists() and not folder.is_dir():
        yield Problem(ENTRIES, "", "it is no folder", "Restore it from git.")
    for found in sorted(folder.iterdir()) if folder.is_dir() else ():
        is_left = found.name.startswith(".") and found.name.endswith(".partial")
        if found not in known and not is_left:
            yield Problem(
                f"{ENTRIES}/{found.name}",
                "",
                "this is no entry",
                f"{ENTRIES}/ holds the folders of entries and nothing else: move it out.",
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
