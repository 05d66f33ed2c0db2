"""Foreign text (of models, data sets, publishers, error messages) made safe: one function for each format.

All of them first make visible what would mislead a reader or move a terminal's cursor although no markup is in it.
"""

import html as _html
import io
import json
import re
import sys
import unicodedata
from typing import Any

SHORT = 40
"""Characters of a name in tables that are printed; a page and CSV have more of it."""
CONDITION = 60
"""Characters of a condition there: the names of two sets and their edit."""
NAME = 120
"""Characters of a name on a page."""
LONG = 200
"""Characters of a name in CSV and headings."""
TEXT = 2000
"""Characters of a note, or of what a model wrote."""
MESSAGE = 100_000
"""Characters of what a terminal shows at once."""

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_MAX_MARKS = 4
"""Combining marks on one character; more of them would run over the lines above and below."""
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_JOINED = ("Lo", "Mn", "Mc", "So", "Sk")
"""Letters without case, marks and symbols."""
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def plain(text: str, limit: int = TEXT, *, lines: bool = False) -> str:
    """The text with everything invisible made visible, on one line and cut with an ellipsis to `limit` characters.

    Control characters become their symbols (U+2400 and following), characters that reorder or hide text become their
    code points in brackets. White space of any kind becomes one space; `lines` keeps it, and line breaks and tabs as
    they are.
    """
    if text.isascii() and text.isprintable():
        return _cut(text if lines else " ".join(text.split()), limit)
    characters: list[str] = []
    marks = 0
    for character in text[: 8 * limit + 64]:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if character.isspace() and (not lines or character in "\n\t"):
            characters.append(character if lines else " ")
        elif marks <= _MAX_MARKS:
            characters.append(_visible(character, characters[-1] if characters else ""))
    found = "".join(characters)
    return _cut(found if lines else " ".join(found.split()), limit)


def name(text: str, limit: int = NAME) -> str:
    """A name as it stands in a table; one of nothing but spaces in words."""
    return plain(text, limit).strip() or "(empty)"


def everywhere(value: Any) -> Any:
    """The same value with `plain` applied to every string in it, but not to keys: those are joined upon, not shown."""
    if isinstance(value, str):
        return plain(value, lines=True)
    if isinstance(value, dict):
        return {key: everywhere(part) for key, part in value.items()}
    return list(map(everywhere, value)) if isinstance(value, list | tuple) else value


def terminal(text: str) -> str:
    """For a terminal, in its lines: no escape sequence moves the cursor, colours or retitles it."""
    return plain(text, MESSAGE, lines=True)


def forgiving_streams() -> None:
    """Of a terminal that is not UTF-8, stdout writes `?` for what it lacks: a run's last line cannot end in a
    UnicodeEncodeError. stderr is so by itself."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def html(text: str) -> str:
    """For HTML between tags and in quoted attributes."""
    return _html.escape(name(text, TEXT))


def json_block(value: Any) -> str:
    """Compact JSON for the inside of a script element: nothing in it can end the element or open a comment.

    Lone surrogates, which UTF-8 cannot hold, and line separators leave as escapes too.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


_MARKDOWN = {
    **{character: f"\\{character}" for character in "\\`*_[]~#"},
    # As entities: a sanitizer, Jekyll's templates and the splitting into cells know no backslash.
    **{character: f"&#{ord(character)};" for character in "<>&{}|"},
    # As GitHub documents it for a dollar sign that opens no formula.
    "$": "<span>$</span>",
    "\N{ZERO WIDTH SPACE}": "&#8203;",
}
_BREAK = "\N{ZERO WIDTH SPACE}"
"""Against what is looked for in the finished text, where escapes are gone: links, mentions, references, emoji."""
_LINKED_LATER = (
    # @name and mail addresses; #1 and GH-1; https://; www.; :emoji:
    (re.compile(r"@"), f"@{_BREAK}"),
    (re.compile(r"#(?=\w)"), f"#{_BREAK}"),
    (re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE), rf"\1{_BREAK}-"),
    (re.compile(r":(?=//|[A-Za-z0-9_+\-]+:)"), f":{_BREAK}"),
    (re.compile(r"(www)\.", re.IGNORECASE), rf"\1{_BREAK}."),
)


def markdown(text: str, limit: int = TEXT) -> str:
    """For GitHub's Markdown, within a line: no markup, HTML, table cell, link, mention or emoji comes of it.

    A line that starts with it may still be a list or a heading.
    """
    text = name(text, limit)
    for pattern, replacement in _LINKED_LATER:
        text = pattern.sub(replacement, text)
    return "".join(_MARKDOWN.get(character, character) for character in text)


def code(text: str, limit: int = TEXT) -> str:
    """For Markdown, a name as it is typed. The fence is longer than any run of backticks inside; tables are split
    at pipes even there."""
    line = plain(text, limit).replace("|", "\\|") or " "
    fence = code_fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def code_fence(text: str, least: int) -> str:
    """Backticks that nothing in the text can close."""
    return "`" * max(least, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))


_FORMULA = re.compile(r"(^|[,;|\t]\s*)(?=['\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])")
"""Where a spreadsheet may begin a formula: at a cell's start, or behind what some countries' settings split at."""


def csv(text: str, limit: int = LONG) -> str:
    """For a field of CSV, before it is quoted: one line, an apostrophe before whatever a spreadsheet would compute."""
    return _FORMULA.sub(r"\1'", name(text, limit)) if text else ""


_LATEX = {
    **{character: f"\\{character}" for character in "{}$&#%_"},
    # At the start of a row `[` and `*` would be an argument of the line break before, and quotes side by side are one.
    **{character: f"{{{character}}}" for character in "[]*`'"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{WORD JOINER}": "{}",
    '"': "{''}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{DEGREE SIGN}": r"$^\circ$",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
}
_SPELLED = {
    **dict(zip("ßæÆœŒøØłŁđı", ("ss", "ae", "AE", "oe", "OE", *"oOlLdi"), strict=True)),
    **dict(zip("αβγδεζηθικλμνξοπρστυφχψω", "abgdezhqiklmnxoprstufcyw", strict=True)),
}
"""Letters that Unicode does not take apart."""


def latex(text: str, limit: int = TEXT) -> str:
    """For pdfLaTeX: ASCII that is set as the text reads. A letter with marks loses them; what its fonts lack is `?`."""
    # Two hyphens side by side would be set as a dash.
    text = name(text, limit).replace("--", "-\N{WORD JOINER}-").replace("--", "-\N{WORD JOINER}-")
    return " ".join("".join(map(_in_latex, text)).split())


def _in_latex(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii():
        return character if character.isprintable() else "?"
    if unicodedata.category(character) == "Mn":
        return ""
    spelled = _SPELLED.get(character) or unicodedata.normalize("NFKD", character)
    letters = "".join(c for c in spelled[:4] if c.isascii() and c.isprintable()).strip()
    return "".join(_LATEX.get(c, c) for c in letters) or "?"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + _ELLIPSIS


def _visible(character: str, before: str) -> str:
    point = ord(character)
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if character in _JOINERS and before and unicodedata.category(before[-1]) in _JOINED:
        # Persian, Hindi and emoji need them; between Latin letters they only make two names look the same.
        return character
    is_no_character = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    if unicodedata.category(character) in _HIDDEN or character in _BLANK_LETTERS or is_no_character:
        return f"[U+{point:04X}]"
    return character
