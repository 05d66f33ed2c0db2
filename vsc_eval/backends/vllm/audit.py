"""What was edited of each request, token by token, so that an edit that did not happen cannot go unnoticed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Account = dict[str, float | int | str | None]
"""One request's summary: `condition` (content hash), `prompt_tokens` and `decode_tokens` (different tokens edited),
`passes` (forwards in which the request had a token at the edited layer), `shift` (mean ||h' - h|| / ||h|| over its
edited prompt tokens, None without any)."""


@dataclass
class Entry:
    """One request. A token that runs again, after a preemption, is counted once."""

    condition: str
    edited_prompt: NDArray[np.bool_] | None
    """Prompt tokens to edit; None for the baseline."""
    n_prompt: int
    passes: int = 0
    decoded: set[int] = field(default_factory=set)
    done: NDArray[np.bool_] = field(init=False)
    shifts: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.done = np.zeros(self.n_prompt, dtype=bool)
        self.shifts = np.zeros(self.n_prompt, dtype=np.float32)

    def note(self, positions: NDArray[np.int64], shifts: NDArray[np.float32]) -> None:
        """The tokens at `positions`, ascending, were edited, by `shifts` of their norm."""
        n_inside = int(np.searchsorted(positions, self.n_prompt))
        inside = positions[:n_inside]
        self.done[inside] = True
        self.shifts[inside] = shifts[:n_inside]
        self.decoded.update(positions[n_inside:].tolist())

    def account(self) -> Account:
        n_edited = int(self.done.sum())
        return {
            "condition": self.condition,
            "prompt_tokens": n_edited,
            "decode_tokens": len(self.decoded),
            "passes": self.passes,
            "shift": float(self.shifts[self.done].mean()) if n_edited else None,
        }


class AuditLog:
    """Entries by request_id, the number that the asking side gave the request."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}

    def take(self) -> dict[int, Account]:
        """The summaries of all requests, which are then forgotten."""
        found = {request_id: entry.account() for request_id, entry in self.entries.items()}
        self.entries.clear()
        return found
