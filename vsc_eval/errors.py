"""What a user did wrong, said so that they can fix it.

The command line turns each of these into one line on stderr and exit code 2; anything else is our own bug and keeps
its traceback.
"""

import difflib
from collections.abc import Iterable


class VscError(Exception):
    """Base of every error that names an item and how to fix it: `hint`, a full sentence that says what to do, is shown
    after the message."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


class SpecError(VscError):
    """A name, option or file that the user wrote is wrong (unknown task, misspelt key, layer out of range)."""


class DataError(VscError):
    """A file or row is damaged or does not fit (truncated weights, an SAE of another width, a missing column)."""


class BackendError(VscError):
    """The model or the machine cannot do what was asked (not a VLM, unsupported cache, unwritable folder)."""


def known_names(what: str, wrong: str, known: Iterable[str]) -> str:
    """The fix for an unknown name: the closest known one, if any is close, and all of them."""
    known = list(known)
    close = difflib.get_close_matches(wrong, known, n=1)
    guess = f"Did you mean '{close[0]}'? " if close else ""
    return f"{guess}Known {what}: {', '.join(known) or 'none'}."
