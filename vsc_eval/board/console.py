"""What the commands of boards print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from vsc_eval.board.build import Built

Log = Callable[[str], None]


def log_built(built: Built, log: Log) -> None:
    """Which files a build wrote and deleted."""
    written, removed = built.written, built.removed
    if not written and not removed:
        log("All files were up to date.")
        return
    shown = ", ".join(written[:6]) + (", ..." if len(written) > 6 else "")
    log(f"{len(written)} files written{': ' if written else ''}{shown}" + (f"; {len(removed)} removed" * bool(removed)))


@contextmanager
def progress_bar(stage: str) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that shows on stderr how far a stage is, while the block runs."""
    from vsc_eval.progress import progress_shown
    from vsc_eval.tables.console import console_for

    with progress_shown(console_for(stderr=True), {}) as progress:
        yield lambda done, total: progress(stage, done, total)


def logger(console: Console) -> Log:
    """A function that prints a line of words as they are."""
    from vsc_eval.tables.clean import terminal

    return lambda words: console.print(terminal(words), highlight=False, markup=False, soft_wrap=True)
