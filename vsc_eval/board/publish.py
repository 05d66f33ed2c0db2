"""Add a run to a board."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vsc_eval.board.board import Board, name_of_known
from vsc_eval.board.build import Built, checked_board, generated_texts, write_generated
from vsc_eval.board.check import entry_problems
from vsc_eval.board.entry_files import read_entry, write_entry
from vsc_eval.board.records import Entry
from vsc_eval.board.spec import ENTRIES
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.files import locked_folder
from vsc_eval.progress import Advance

Done = Literal["added", "replaced", "already there"]


@dataclass(frozen=True)
class Published:
    """What became of a run."""

    folder: Path
    done: Done
    built: Built


def publish(
    entry: Entry,
    board: Path,
    *,
    replace: bool = False,
    log: Callable[[str], None] = lambda _: None,
    progress: Advance = lambda *_: None,
) -> Published:
    """Write a run's entry into the board, then everything that is made from the entries.

    The same entry gives the same bytes: published a second time, nothing is written. Raises SpecError for one that does
    not fit the board or is there with other content (unless `replace`), DataError for a damaged board, BackendError for
    a folder that cannot be written; nothing is written then.
    """
    with locked_folder(board, "a board", log), _staged(entry, board) as (entry, staged):
        folder = board / ENTRIES / entry.id
        # To put a run in the place of a damaged entry is how that is fixed.
        before = checked_board(board, forgiven=folder.name if replace else None)
        if problems := entry_problems(entry, before.spec):
            first = problems[0]
            more = f" There are {len(problems) - 1} more such problems." if len(problems) > 1 else ""
            raise SpecError(
                f"The run of '{entry.name}' does not fit the board: at '{first.place}': {first.what}.{more}",
                hint=first.hint,
            )
        twins = [known for known in before.entries if known.asked == entry.asked]
        others = [known for known in before.entries if known not in twins]
        done = _decide(entry, twins, replace, is_there=folder.is_dir())
        if (known := name_of_known(entry, others)) is not None:
            raise SpecError(
                f"The board has entries of this model under the name '{known:.80}', and this one says "
                f"'{entry.name:.80}'.",
                hint=f"Give --name {shlex.quote(known[:80])}, or take those entries out: a model has one name on a "
                "board.",
            )
        after = Board(board, before.spec, tuple(sorted([*others, entry], key=lambda each: each.id)))
        log(f"Building {board} ...")
        texts = generated_texts(after)
        if done == "already there":
            shutil.rmtree(staged)
        else:
            _take_place(staged, folder, [board / ENTRIES / known.id for known in twins])
        return Published(folder=folder, done=done, built=write_generated(after, texts, progress=progress))


@contextmanager
def _staged(entry: Entry, board: Path) -> Iterator[tuple[Entry, Path]]:
    """The entry as its files will give it back, and where they are for now; what is left of them is deleted."""
    # Not in entries/, which may be a link out of the board until that has been checked.
    staged = board / f".{entry.id}.{os.getpid()}.partial"
    try:
        shutil.rmtree(staged, ignore_errors=True)
        write_entry(entry, staged)
        yield read_entry(staged), staged
    except OSError as error:
        raise BackendError(
            f"{staged} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that you may write to, on a disk with space left.",
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _take_place(staged: Path, folder: Path, twins: Sequence[Path]) -> None:
    """A folder cannot replace another at once: the old one steps aside first, and a build deletes what is left."""
    folder.parent.mkdir(exist_ok=True)
    aside = folder.with_name(f".{folder.name}.old.partial")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        os.replace(folder, aside)
    os.replace(staged, folder)
    for old in (aside, *(twin for twin in twins if twin != folder)):
        shutil.rmtree(old, ignore_errors=True)


def _decide(entry: Entry, twins: Sequence[Entry], replace: bool, *, is_there: bool) -> Done:
    """`is_there`: the entry's folder, which is damaged if none of the twins is in it."""
    same = [known for known in twins if known.id == entry.id]
    if len(twins) == len(same) == 1 and same[0].about.sha256 == entry.about.sha256:
        return "already there"
    if twins and not replace:
        raise SpecError(
            f"The board has an entry of the same model, items and conditions with other content: {twins[0].id} of "
            f"{twins[0].about.date}.",
            hint="Give --replace to put this run in its place.",
        )
    return "replaced" if twins or is_there else "added"
