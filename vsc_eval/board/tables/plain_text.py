"""Text of models, data sets and publishers as one line that shows what is in it."""

from __future__ import annotations

import unicodedata

SHORT = 40
"""Characters of a name in tables that are printed; the page and the CSV have more of it."""
CONDITION = 60
"""Characters of a condition there: the names of two sets and their edit."""
LONG = 200
"""Characters of a name in CSV."""

_HIDDEN = "\N{REPLACEMENT CHARACTER}"
_MAX_MARKS = 3
"""Combining marks on one character; more of them would run over the lines above and below."""
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_ELLIPSIS = "…"


def plain(text: str, limit: int) -> str:
    """The text on one line, cut with an ellipsis to `limit` characters.

    White space of any kind becomes one space. What is invisible or reorders its neighbours (controls, bidi marks,
    zero-width characters) becomes U+FFFD, so that two names that look alike are alike.
    """
    if text.isascii() and text.isprintable():
        return cut(" ".join(text.split()), limit) or "(empty)"
    shown: list[str] = []
    marks = 0
    for character in text[: 8 * limit + 64]:
        category = unicodedata.category(character)
        marks = marks + 1 if category.startswith("M") else 0
        if character.isspace():
            shown.append(" ")
        elif category in ("Cc", "Cf", "Cs", "Co") or character in _BLANK_LETTERS or _is_no_character(character):
            shown.append(_HIDDEN)
        elif marks <= _MAX_MARKS:
            shown.append(character)
    return cut(" ".join("".join(shown).split()), limit) or "(empty)"


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last of them an ellipsis where something was cut off."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + _ELLIPSIS


def _is_no_character(character: str) -> bool:
    return ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
