"""How far a run is and how long it still takes: bars in a terminal and in a notebook, elsewhere a line every half
minute."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from html import escape

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_A_LINE = 30.0
_SECONDS_A_FRAME = 0.2

Advance = Callable[[str, int, int], None]
"""Called with (stage, done, total) whenever a stage has got further."""


@contextmanager
def progress_shown(console: Console | None = None, stages: Mapping[str, int] = {}) -> Iterator[Advance]:
    """Show the progress of `stages` (name -> total as far as it is known) while the block runs, on stderr if nothing
    else is said; others join when they are first heard of."""
    console = console or Console(stderr=True)
    if console.is_jupyter:
        with _notebook_bar() as advance:
            yield advance
        return
    if not console.is_terminal:
        yield progress_lines(console)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        # A batch of a large model takes longer than rich's window of 30 s, which would then know no speed.
        speed_estimate_period=1800,
    ) as bars:
        tasks = {name: bars.add_task(name, total=total) for name, total in stages.items()}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance


def adding_up(advance: Advance) -> Advance:
    """`advance` for parts that tell (stage, how many were just done, how many there are)."""
    sums: Counter[str] = Counter()

    def step(stage: str, just_done: int, total: int) -> None:
        sums[stage] += just_done
        advance(stage, sums[stage], total)

    return step


@contextmanager
def steps_shown() -> Iterator[Advance]:
    """As `progress_shown` on stderr, for parts that tell (stage, how many were just done, how many there are)."""
    with progress_shown() as advance:
        yield adding_up(advance)


def progress_lines(console: Console, clock: Callable[[], float] = time.monotonic) -> Advance:
    """Lines such as "answers 320/2940, 0:04:12 left", for log files."""

    def show(stage: str, done: int, total: int, left: str) -> None:
        console.print(f"{stage} {done}/{total}, {left} left", highlight=False, markup=False)

    return _now_and_then(show, SECONDS_A_LINE, clock)


@contextmanager
def _notebook_bar() -> Iterator[Advance]:
    """One bar below the cell, gone in the end. rich's own would want ipywidgets there, and stay in the output."""
    from IPython.display import HTML, display

    shown = display(HTML(""), display_id=True)

    def show(stage: str, done: int, total: int, left: str) -> None:
        bar = f'<progress value="{done}" max="{total}"></progress>'
        shown.update(HTML(f"{escape(stage)} {bar} {done}/{total}, {left} left"))

    try:
        yield _now_and_then(show, _SECONDS_A_FRAME, time.monotonic)
    finally:
        shown.update(HTML(""))


def _now_and_then(show: Callable[[str, int, int, str], None], seconds: float, clock: Callable[[], float]) -> Advance:
    """Calls `show`, with the time left, every so many seconds and at the end of a stage."""
    started: dict[str, float] = {}
    last = shown = clock()

    def advance(stage: str, done: int, total: int) -> None:
        nonlocal last, shown
        now = clock()
        # A stage begins where the one before it was last heard of.
        since, last = started.setdefault(stage, last), now
        if done > 0 and (now - shown >= seconds or done >= total):
            shown = now
            show(stage, done, total, str(timedelta(seconds=round((now - since) / done * (total - done)))))

    return advance
