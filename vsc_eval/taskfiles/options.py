"""Options as data sets write them: in a list, in a list that is stored as text, or inside the question."""

import ast
import io
import json
import re
import string
import tokenize
from itertools import pairwise
from typing import Any

# A letter with its mark, at the start of a line or after a blank: "A.", "A)", "A:", "(A)".
_MARK = re.compile(r"(?:^|(?<=[\s,;(:]))(?:\((?P<round>[A-Z])\)|(?P<plain>[A-Z])(?P<sign>[.):]))", re.M)


def inline_options(question: str) -> tuple[str, ...]:
    """The texts of the options A, B, C ... that the question names, in order; () if there are not at least two. They
    stand as "... A. red B. blue", one a line, or as "Options: A: yes, B: no".

    Letters are marked alike. Where they begin twice ("vitamin A. ..."), the last run from A is taken that counts on.
    """
    marks = list(_MARK.finditer(question))
    for first in reversed([place for place, mark in enumerate(marks) if _letter(mark) == "A"]):
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            # After Z, no letter goes on.
            following = string.ascii_uppercase[len(run) : len(run) + 1]
            if mark["sign"] == run[0]["sign"] and _letter(mark) == following:
                run.append(mark)
        if len(run) >= 2:
            texts = [question[mark.end() : following.start()] for mark, following in pairwise(run)]
            # What follows the last option is an instruction, on a line of its own.
            texts.append(question[run[-1].end() :].strip(" ").split("\n", 1)[0])
            return tuple(text.strip().rstrip(",;").strip() for text in texts)
    return ()


def _letter(mark: re.Match[str]) -> str:
    return mark["round"] or mark["plain"]


def text_list(value: Any) -> list[Any] | None:
    """The list in `value`: a list itself, or one written as JSON or in Python's way; None if it is none.

    numpy prints an array without commas (`['a' 'b']`), which Python would read as one string; that is refused.
    """
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str) or not value.strip().startswith(("[", "(")):
        return None
    for read in (json.loads, _python_list):
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | tuple):
            return list(found)
    return None


def _python_list(text: str) -> Any:
    found = ast.literal_eval(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kinds = [token.type for token in tokens if token.type in (tokenize.STRING, tokenize.OP)]
    if (tokenize.STRING, tokenize.STRING) in pairwise(kinds):
        raise ValueError("strings without a comma between them")
    return found
