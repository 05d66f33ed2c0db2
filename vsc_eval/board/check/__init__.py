"""What makes an entry, and a board, right: everything that can be computed anew from the answers is.

Cheaply: counts, shares, differences, McNemar's p, percentiles among control draws, verdicts as far as their numbers go.
If asked for, because it is slow: intervals of rows and interactions, and p of sign-flip tests. Not at all: distances
between distributions, activation shifts, control draws, the noise floor, official figures and probes. Of these, signs,
ranges and order are checked; the entry's hash guards them against edits by hand only.
"""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from vsc_eval.board.board import name_of_known
from vsc_eval.board.check.figures import figure_problems
from vsc_eval.board.check.form import form_problems
from vsc_eval.board.entry_files import read_entry
from vsc_eval.board.records import Entry, Problem
from vsc_eval.board.spec import (
    BOARD_FILE,
    ENTRIES,
    FOLDERS,
    NO_LEVEL,
    BoardSpec,
    Group,
    entry_folders,
    read_board_spec,
    tasks_asked,
)
from vsc_eval.errors import DataError
from vsc_eval.progress import Advance
from vsc_eval.synthetic import TASKS

MOST_PER_ENTRY = 20
"""Problems that are told of one entry: one wrong answer shows in many sums."""


def check_board(path: Path, *, intervals: bool = False) -> tuple[Problem, ...]:
    """Everything that is wrong with the entries of the board in `path`, in the order of their folders; with `intervals`
    their bounds are drawn anew as well. Raises SpecError if there is no board or its board.yaml is wrong."""
    return check_entries(path, intervals=intervals)[1]


def check_entries(
    path: Path, *, intervals: bool = False, progress: Advance = lambda *_: None
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """The entries that are right by themselves, by id, and the problems of all."""
    spec = read_board_spec(path)
    problems, entries = list(_foreign(path)), {}
    folders = entry_folders(path)
    for place, folder in enumerate(folders):
        progress("entries", place, len(folders))
        name = f"{ENTRIES}/{folder.name}"
        try:
            entry = read_entry(folder)
        except DataError as error:
            what = error.message.removeprefix(f"{folder}").removeprefix("/").rstrip(".")
            problems.append(Problem("", what, error.hint, name))
            continue
        found = entry_problems(entry, spec, intervals=intervals)
        problems += [replace(problem, file=name) for problem in found]
        if folder.name != entry.id:
            problems.append(Problem("id", f"the entry is {entry.id}", f"Name the folder {entry.id}.", name))
        if not found:
            entries[name] = entry
    progress("entries", len(folders), len(folders))
    problems += _beside_others(entries)
    return tuple(sorted(entries.values(), key=lambda entry: entry.id)), tuple(problems)


def entry_problems(entry: Entry, spec: BoardSpec, *, intervals: bool = False) -> tuple[Problem, ...]:
    """What is wrong with one entry, by itself and for the board of that spec; the first of many."""
    found = chain(_spec_problems(entry, spec), form_problems(entry), figure_problems(entry, drawn=intervals))
    return tuple(islice(found, MOST_PER_ENTRY))


def _spec_problems(entry: Entry, spec: BoardSpec) -> Iterator[Problem]:
    """Everything in which the entry is not one of this board."""
    if entry.about.board != spec.name:
        what = f"the entry is of board '{entry.about.board:.60}', and this is '{spec.name}'"
        yield Problem("board", what, "Publish it to a board of its own: `vsc-eval board new DIR --from RUN`.")
    items = entry.table.items
    other = next((item.scoring for item in items if item.scoring != spec.scoring), None)
    if other is not None:
        what = f"it was read by `{other:.20}`, and the board asks for `{spec.scoring}`"
        yield Problem("scoring", what, f"Run with `--scoring {spec.scoring}`.")
    version = entry.hashes.get("generator_version")
    if version != spec.generator_version and entry.tasks & set(TASKS):
        what = f"its items are of generator version {version!s:.20}, the board's of {spec.generator_version}"
        yield Problem("hashes.generator_version", what, "Run with a vsc-eval of the board's version.")
    own = tasks_asked(items)
    for task in own:
        yield from _task_problems(spec, task, own[task].levels)
    synthetic = spec.tasks_of("synthetic")
    missing = [task for task in synthetic if task not in own]
    if missing and len(missing) < len(synthetic):
        what = f"it lacks {', '.join(missing)}; an entry has all synthetic tasks of the board, or none"
        yield Problem("items.task", what, "Run all of them in one run.")


def _task_problems(spec: BoardSpec, task: str, levels: dict[str, Group]) -> Iterator[Problem]:
    if task not in spec.tasks:
        known = ", ".join(spec.tasks)
        yield Problem("items.task", f"the board does not ask '{task:.60}'", f"Its tasks are: {known:.500}.")
        return
    asked = spec.tasks[task].levels
    for level in dict.fromkeys([*asked, *levels]):
        place = f"items of {task:.60}" + (f"/{level:.60}" if level != NO_LEVEL else "")
        n = levels[level].n if level in levels else 0
        if level not in asked:
            yield Problem(place, "the board does not ask this level", "Publish a run of the board's items.")
        elif n != asked[level].n:
            what = f"there are {n} items, and the board asks {asked[level].n}"
            hint = "Run with the board's number of items (`--n` for the synthetic tasks, no `--limit`)."
            yield Problem(place, what, hint)
        elif levels[level] != asked[level]:
            what = "they are not the board's items: an id, a question, a picture or a right answer differs"
            yield Problem(place, what, "Run with the same version of vsc-eval and of the data set.")


def _foreign(path: Path) -> Iterator[Problem]:
    """What somebody put into entries/, or a folder's place, but for what a killed writer left: a build removes that."""
    for name in FOLDERS:
        if (path / name).is_symlink():
            yield Problem("", "it is a link, and a build would write where it leads", "Remove the link.", name)
    folder = path / ENTRIES
    known = set(entry_folders(path))
    if folder.exists() and not folder.is_dir():
        yield Problem("", "it is no folder", "Restore it from git.", ENTRIES)
    for found in sorted(folder.glob("*")):
        is_left = found.name.startswith(".") and found.name.endswith(".partial")
        if found not in known and not is_left:
            hint = f"{ENTRIES}/ holds the folders of entries and nothing else: move it out."
            yield Problem("", "this is no entry", hint, f"{ENTRIES}/{found.name}")


def _beside_others(entries: dict[str, Entry]) -> Iterator[Problem]:
    """The same model asked the same under the same conditions, whatever its name; and models with two names."""
    read: dict[str, Entry] = {}
    for name, entry in entries.items():
        twin = next((file for file, other in read.items() if other.asked == entry.asked), None)
        known = name_of_known(entry, [other for other in read.values() if other.asked != entry.asked])
        read[name] = entry
        if twin is not None:
            what = f"it is of the same model, items and conditions as {twin}"
            yield Problem("id", what, f"Keep one of the two. ({BOARD_FILE} asks every model once.)", name)
        if known is not None:
            what = f"it is '{entry.name:.80}', and another entry calls the same model '{known:.80}'"
            hint = f"Publish the run again with `--name {shlex.quote(known[:80])} --replace`."
            yield Problem("model.name", what, hint, name)
