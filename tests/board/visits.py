"""What the browser tests share: how a page is opened and watched, and the edits of their sample entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Dialog, Page, Request

from vsc_eval.board.board import Board
from vsc_eval.board.page.render import render_page

EDITS = (
    "counting",
    "logic",
    "existence",
    "counting+logic",
    "counting+existence",
    "existence+logic",
    "counting+logic:norm=mean",
    "counting+existence:norm=mean",
    "existence+logic:norm=mean",
)
NOT_PRINTED = "counting+logic:norm=mean"
"""The condition of the sample board that is no headline."""

DESKTOP = (1280, 900)
PHONE = (390, 844)

OPEN_ALL = """
    async () => {
        const folded = [...document.querySelectorAll("details")];
        folded.forEach((one) => { one.open = true; });
        while (folded.some((one) => one.children.length < 2)) await new Promise((next) => setTimeout(next));
        return folded.length;
    }
"""
"""Opens whatever can be opened and waits for what is only made then; how many there are."""


@dataclass
class Visited:
    """A page, and everything it did that a quiet page does not do."""

    page: Page
    path: Path
    trouble: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Hear whatever the page logs, asks for, or throws from now on."""
        self.page.on("console", self._logged)
        self.page.on("dialog", self._asked)
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("request", self._requested)

    def is_quiet(self) -> None:
        """Nothing was logged, refused by the policy, asked of the network, and no dialog was opened."""
        assert self.trouble == []
        assert self.page.evaluate("window.refused") == []

    def fits(self) -> None:
        """Nothing is wider than the window."""
        wide, window = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= window

    def open_all(self) -> None:
        """Open whatever can be opened, with what is only made then."""
        self.page.evaluate(OPEN_ALL)

    def _logged(self, message: ConsoleMessage) -> None:
        self.trouble.append(f"{message.type}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        if not request.url.startswith("data:image/") and request.url.split("#")[0] != self.path.as_uri():
            self.trouble.append(f"request: {request.url[:200]}")


Visit = Callable[..., Visited]
"""`visit(path, fragment="", size=DESKTOP, scheme="light", script=True, motion="reduce", late=True)` opens a file in a
fresh, offline window; a `late` one is slow to tell the page of frames, sizes, opened disclosures and addresses."""


def written(folder: Path, board: Board) -> Path:
    """The board's page as a file."""
    path = folder / "index.html"
    path.write_text(render_page(board), encoding="utf-8")
    return path
