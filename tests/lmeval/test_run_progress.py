"""Progress: bars in a terminal, elsewhere a line now and then with the time left."""

from __future__ import annotations

import io

from rich.console import Console

from vsc_eval.progress import progress_lines, progress_shown


def test_lines_come_every_half_minute_and_at_the_end() -> None:
    now, out = 0.0, io.StringIO()
    advance = progress_lines(Console(file=out, width=80), clock=lambda: now)
    for done in range(100, 1001, 100):
        now += 10
        advance("answers", done, 1000)
    now += 5
    advance("scored [x]", 1, 2)
    now += 5
    advance("scored [x]", 2, 2)
    assert out.getvalue().splitlines() == [
        "answers 300/1000, 0:01:10 left",
        "answers 600/1000, 0:00:40 left",
        "answers 900/1000, 0:00:10 left",
        "answers 1000/1000, 0:00:00 left",
        "scored [x] 2/2, 0:00:00 left",
    ]


def test_a_terminal_gets_bars() -> None:
    out = io.StringIO()
    with progress_shown(Console(file=out, force_terminal=True, width=80), {"answers": 4}) as advance:
        advance("answers", 4, 4)
    assert "4/4" in out.getvalue()
    assert "left" in out.getvalue()


def test_bars_join_when_they_are_first_heard_of() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with progress_shown(console, {"answers": 4}) as advance:
        advance("answers", 2, 4)
        advance("probes", 3, 3)
    assert "2/4" in out.getvalue()
    assert "probes" in out.getvalue()
    assert "3/3" in out.getvalue()
