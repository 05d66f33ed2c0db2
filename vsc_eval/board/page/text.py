"""Text of models, data sets and publishers as a page can show it, and data inside a script element.

Escaping is the template's and the DOM's work. This is about characters that would mislead a reader or break the
layout although no markup is in them.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

NAME_LIMIT = 120
"""Characters of a name in a table, a list or a heading."""
TEXT_LIMIT = 2000
"""Characters of a longer text."""

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_MAX_MARKS = 4
"""Combining marks on one character that are still drawn; more of them would run over the lines above and below."""


def plain(text: str, *, limit: int = TEXT_LIMIT, lines: bool = False) -> str:
    """The text with everything invisible made visible, cut at `limit` characters.

    Control characters become their symbols (U+2400 and following), characters that reorder or hide text become their
    code points in brackets. `lines` keeps line breaks.
    """
    left_out = len(text) - limit
    if left_out > 0:
        text = text[:limit]
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks <= _MAX_MARKS:
            shown.append(_visible(character, shown[-1] if shown else "", lines=lines))
    return "".join(shown) + (f"… [{left_out:,} more characters]" if left_out > 0 else "")


def name(text: str) -> str:
    """A name as it stands in a table; one of nothing but spaces in words."""
    shown = plain(text, limit=NAME_LIMIT)
    return shown if shown.strip() else "(blank)"


def clean(value: Any, *, lines: bool = True) -> Any:
    """The same value with `plain` applied to every string in it, but not to keys: those are joined upon, not shown."""
    if isinstance(value, str):
        return plain(value, lines=lines)
    if isinstance(value, dict):
        return {key: clean(part, lines=lines) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [clean(part, lines=lines) for part in value]
    return value


def json_block(value: Any) -> str:
    """Compact JSON for the inside of a script element: nothing in it can end the element or open a comment.

    Lone surrogates, which UTF-8 cannot hold, and line separators leave as escapes too.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


def _visible(character: str, before: str, *, lines: bool) -> str:
    code = ord(character)
    if character in "\n\t" and lines:
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if character in _JOINERS:
        # Persian, Hindi and emoji need them; between Latin letters they only make two names look the same.
        return _code_point(code) if before.isascii() else character
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or code in _BLANKS or code & 0xFFFE == 0xFFFE:
        return _code_point(code)
    return character


_BLANKS = frozenset({0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800})
"""Letters by their category that are drawn as nothing."""


def _code_point(code: int) -> str:
    return f"[U+{code:04X}]"
