"""What the formats of tables must hold whatever a cell says, read by parsers that are not ours."""

from __future__ import annotations

import csv
import io
import re
import unicodedata

from markdown_it import MarkdownIt
from markdown_it.token import Token

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARMLESS = {"text", "text_special"}
OWN_TAGS = {"<span>", "</span>", "<sub>", "</sub>"}
LOOKED_FOR_LATER = re.compile(
    r"@\w|#\w|\bGH-\d|https?://|\bwww\.|:[A-Za-z0-9_+\-]+:|[\w.+\-]+@[\w\-]+\.|mailto:\S+@\w", re.IGNORECASE
)


def parsed(text: str) -> list[Token]:
    return GITHUB.parse(text)


def shown(token: Token) -> str:
    """The text of an inline token as a reader sees it; anything but text and our own tags is a mistake."""
    words = []
    for child in token.children or ():
        if child.type == "html_inline":
            assert child.content in OWN_TAGS, child.content
        else:
            assert child.type in HARMLESS, (child.type, token.content)
            words.append(child.content)
    text = "".join(words)
    assert not LOOKED_FOR_LATER.search(text), text
    return text.replace("\N{ZERO WIDTH SPACE}", "")


def table_cells(tokens: list[Token]) -> list[str]:
    """The texts of all cells, the head's first."""
    return [
        shown(tokens[place + 1]) for place, token in enumerate(tokens) if token.type in ("th_open", "td_open")
    ]  # fmt: skip


_FORMULA_START = re.compile(r"\s*['\"]?\s*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]")


def _number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def check_csv(text: str) -> None:
    """Whole rows of one line each, and no field that a spreadsheet would compute."""
    assert text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == text.count("\r\n")
    for field in (field for row in rows for field in row if not _number(field)):
        # Joiners stay where scripts need them.
        hidden = {unicodedata.category(c) for c in re.sub("[\u200c\u200d]", "", field)}
        assert not hidden & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}, field
        # In some countries a spreadsheet splits at semicolons or tabs, whatever the quotes say.
        for part in re.split(r"[;\t|]", field):
            assert part.strip().startswith("'") or not _FORMULA_START.match(part), field


COMMANDS = {
    *("begin", "end", "caption", "toprule", "midrule", "bottomrule", "endhead", "endfoot", "multicolumn", "cmidrule"),
    *("addlinespace", "textbf", "footnotesize", "setlength", "tabcolsep", "par", "noindent", "ldots", "rightarrow"),
    *(
        "textbackslash",
        "textasciicircum",
        "textasciitilde",
        "textless",
        "textgreater",
        "textbar",
        "times",
        "circ",
        "pm",
    ),
    *("leq", "geq", "cdot"),
}


def check_latex(text: str) -> None:
    """What pdfLaTeX would trip over, without it: no stray special, no command but ours, whole rows."""
    assert text.isascii()
    body = "\n".join(line for line in text.split("\n") if not line.startswith("% "))
    assert set(re.findall(r"\\([A-Za-z]+)", body)) <= COMMANDS
    bare = re.sub(r"\\(?:[A-Za-z]+|[\\{}$&#%_])", "", body.replace(r"\\*", r"\\"))
    assert not re.search(r"[#%_~]", bare)
    assert "^" not in bare.replace("$^$", "")
    assert re.fullmatch(r"(?:[^$]|\$[^$\n]{0,3}\$)*", bare, re.DOTALL), "a formula is left open"
    depth = 0
    for character in re.sub(r"\\\\|\\[{}]", "", body):
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    for spec, inner in re.findall(r"\\begin\{longtable\}\{@\{\}([rl]+)@\{\}\}(.*?)\\end\{longtable\}", body, re.DOTALL):
        for line in inner.split("\\midrule", 1)[1].split("\n"):
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(spec) - 1, line
                assert not line.startswith(("[", "*"))
    assert body.count(r"\begin{longtable}") == body.count(r"\end{longtable}") > 0
