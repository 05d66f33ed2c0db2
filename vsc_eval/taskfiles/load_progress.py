"""How far the reading of a large data set is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from vsc_eval.progress import progress_shown

_LARGE = 200
"""Rows from which on reading takes long enough to be watched."""


@contextmanager
def rows_shown(name: str, total: int) -> Iterator[Callable[[int, int], None] | None]:
    """A bar or lines on stderr while the block runs; nothing for a small set."""
    if total < _LARGE:
        yield None
        return
    with progress_shown(Console(stderr=True), {name: total}) as advance:
        yield lambda done, all_rows: advance(name, done, all_rows)
