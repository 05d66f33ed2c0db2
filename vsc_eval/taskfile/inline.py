"""Options that stand inside a question: "... A. red B. blue", one a line, or "Options: A: yes, B: no"."""

from __future__ import annotations

import re
import string

# A letter with its mark, at the start of a line or after a blank: "A.", "A)", "(A)", "A:", "A,".
_MARK = re.compile(r"(?:^|(?<=[\s,;(:]))(?:\((?P<round>[A-Z])\)|(?P<plain>[A-Z])[.):])(?=\s|\S)", re.M)


def inline_options(question: str) -> tuple[str, ...]:
    """The texts of the options A, B, C ... that the question names, in order; () if there are not at least two.

    Where the letters begin twice ("vitamin A. ..."), the last run that begins with A and counts on is taken.
    """
    marks = [(match["round"] or match["plain"], match.start(), match.end()) for match in _MARK.finditer(question)]
    for first in reversed([i for i, (letter, _, _) in enumerate(marks) if letter == "A"]):
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            if mark[0] == string.ascii_uppercase[len(run)]:
                run.append(mark)
            if len(run) == len(string.ascii_uppercase):
                break
        if len(run) >= 2:
            return tuple(_texts(question, run))
    return ()


def _texts(question: str, run: list[tuple[str, int, int]]) -> list[str]:
    ends = [start for _, start, _ in run[1:]]
    one_a_line = all("\n" in question[end:start].strip(" ") for (_, _, end), start in zip(run, ends, strict=False))
    texts = [question[end:start] for (_, _, end), start in zip(run, ends, strict=False)]
    last = question[run[-1][2] :]
    # What follows the last option is an instruction, on a line of its own.
    texts.append(last.strip(" ").split("\n", 1)[0] if one_a_line or "\n" in last.strip() else last)
    return [text.strip().rstrip(",;").strip() for text in texts]
