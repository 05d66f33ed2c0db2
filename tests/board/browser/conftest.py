"""Boards as pages on disk, and Chromium to open them in without a network."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from samples import sample_parts, with_headlines, write_board
from visits import DESKTOP, EDITS, NOT_PRINTED, Visit, Visited, written

from vsc_eval.board.board import Board
from vsc_eval.board.records import Entry

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
NOTE_REFUSALS = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.violatedDirective));
"""
LATE_CALLS = """
    (() => {
        const late = (call) => (...told) => setTimeout(() => call(...told), 150);
        const frame = window.requestAnimationFrame;
        window.requestAnimationFrame = (call) => frame(late(call));
        window.ResizeObserver = class extends ResizeObserver {
            constructor(call) { super(late(call)); }
        };
        const listen = EventTarget.prototype.addEventListener;
        EventTarget.prototype.addEventListener = function (type, call, ...how) {
            return listen.call(this, type, ["toggle", "hashchange"].includes(type) ? late(call) : call, ...how);
        };
    })();
"""
"""What a browser says in its own time (a frame, a size, an opened disclosure, an address) comes late in every test,
as it does on a busy machine: a test that does not wait for what it reads fails everywhere and not now and then."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests. $CHROMIUM names another one than that on the path."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium: install it (Debian: apt-get install chromium) or name one in $CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a file in a fresh, offline window."""
    contexts = []

    def opened(
        path: Path,
        fragment: str = "",
        *,
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        script: bool = True,
        motion: str = "reduce",
        late: bool = True,
    ) -> Visited:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            offline=True,
            java_script_enabled=script,
            reduced_motion=motion,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(NOTE_REFUSALS)
        if late:
            context.add_init_script(LATE_CALLS)
        visited = Visited(context.new_page(), path)
        visited.watch()
        visited.page.goto(path.as_uri() + fragment)
        return visited

    yield opened
    for context in contexts:
        context.close()


def with_hidden_condition(entry: Entry) -> Entry:
    """The same entry with one condition that printed tables leave out."""
    return with_headlines(entry, *(condition.name for condition in entry.edits if condition.name != NOT_PRINTED))


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A run and a study with edits, and a run without any."""
    parts = [
        sample_parts("model-a", n_per_cell=8, conditions=EDITS),
        sample_parts("model-b", n_per_cell=8, conditions=EDITS, source="study", note="Said by its publisher."),
        sample_parts("model-c", n_per_cell=8, conditions=()),
    ]
    board = write_board(tmp_path_factory.mktemp("board"), parts)
    entries = (with_hidden_condition(entry) if entry.name == "model-a" else entry for entry in board.entries)
    return dataclasses.replace(board, entries=tuple(entries))


@pytest.fixture(scope="session")
def page_path(board: Board) -> Path:
    """The sample board's page as a file."""
    return written(board.path, board)
