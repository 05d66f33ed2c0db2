"""What the commands of boards print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from vsc_eval.board.build import Built

Say = Callable[[str], None]


def say_built(built: Built, say: Say) -> None:
    """Which files a build wrote and deleted."""
    written, removed = built.written, built.removed
    if not written and not removed:
        say("All files were up to date.")
        return
    shown = ", ".join(written[:6]) + (", ..." if len(written) > 6 else "")
    say(f"{len(written)} files written{': ' if written else ''}{shown}" + (f"; {len(removed)} removed" * bool(removed)))


@contextmanager
def counted(stage: str) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total) that shows on stderr how far a stage is, while the block runs."""
    from vsc_eval.progress import progress_shown
    from vsc_eval.tables.console import console_for

    with progress_shown(console_for(stderr=True), {}) as advance:

        def told(done: int, total: int) -> None:
            advance(stage, done, total)

        yield told


def say_on(console: Console) -> Say:
    """A function that prints a line of words as they are."""

    from vsc_eval.tables.clean import terminal

    def say(words: str) -> None:
        console.print(terminal(words), highlight=False, markup=False, soft_wrap=True)

    return say
