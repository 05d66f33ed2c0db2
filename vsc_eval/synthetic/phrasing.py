"""Words that tasks share, and the prompt around a question.

Each task has five templates: the first `MAIN_TEMPLATES` are used everywhere, the others are held out for checks that
must not be passed by recognising a question's words.
"""

import re
from collections.abc import Sequence
from typing import Final

LETTERS: Final = ("A", "B", "C", "D")
MAIN_TEMPLATES: Final = 3
N_TEMPLATES: Final = 5
INSTRUCTION: Final = "Answer with the letter of the correct option."


def plural(shape: str) -> str:
    """`circle` -> `circles`, `cross` -> `crosses`."""
    return shape + ("es" if shape.endswith("s") else "s")


def format_prompt(question: str, options: Sequence[str]) -> str:
    """The text that a model reads after the picture."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, INSTRUCTION])


def words(text: str) -> list[str]:
    """Word-level tokens: runs of letters or digits, and single punctuation marks."""
    return re.findall(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]", text)
