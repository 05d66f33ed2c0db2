"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass

REPUBLISH = "Entries are not edited by hand: publish the run again with `vsc-eval publish RUN --to BOARD --replace`."


@dataclass(frozen=True)
class Problem:
    """Something wrong with a board, or inside an entry that is checked by itself."""

    place: str
    """Inside the file; empty for the file itself."""
    what: str
    hint: str = REPUBLISH
    file: str = ""
    """Below the board's folder."""
