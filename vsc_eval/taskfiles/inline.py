"""Options that stand inside a question: "... A. red B. blue", one a line, or "Options: A: yes, B: no"."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from itertools import pairwise

# A letter with its mark, at the start of a line or after a blank: "A.", "A)", "A:", "(A)".
_MARK = re.compile(r"(?:^|(?<=[\s,;(:]))(?:\((?P<round>[A-Z])\)|(?P<plain>[A-Z])(?P<sign>[.):]))", re.M)


@dataclass(frozen=True)
class _Mark:
    letter: str
    sign: str
    start: int
    end: int


def inline_options(question: str) -> tuple[str, ...]:
    """The texts of the options A, B, C ... that the question names, in order; () if there are not at least two.

    Letters are marked alike. Where they begin twice ("vitamin A. ..."), the last run from A is taken that counts on.
    """
    marks = [
        _Mark(match["round"] or match["plain"], match["sign"] or "()", match.start(), match.end())
        for match in _MARK.finditer(question)
    ]
    for first in reversed([place for place, mark in enumerate(marks) if mark.letter == "A"]):
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            if len(run) < len(string.ascii_uppercase) and mark.sign == run[0].sign:
                run += [mark] if mark.letter == string.ascii_uppercase[len(run)] else []
        if len(run) >= 2:
            return tuple(_texts(question, run))
    return ()


def _texts(question: str, run: list[_Mark]) -> list[str]:
    texts = [question[mark.end : following.start] for mark, following in pairwise(run)]
    # What follows the last option is an instruction, on a line of its own.
    texts.append(question[run[-1].end :].strip(" ").split("\n", 1)[0])
    return [text.strip().rstrip(",;").strip() for text in texts]
