"""Text that misleads without markup: what is written in its place."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hostile_texts import HOSTILE, HOSTILE_IDS

from vsc_eval.tables.clean import everywhere, json_block, name, plain, terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("vsc-tiny", "vsc-tiny"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("שלום 模型 café", "שלום 模型 café"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("می‌خواهم", "می‌خواهم"),
        ("a\x00b\x1b[31m\x7f", "a␀b␛[31m␡"),
        ("\u202egnp.exe", "[U+202E]gnp.exe"),
        ("mod\u200bel", "mod[U+200B]el"),
        ("vsc\u200d-tiny", "vsc[U+200D]-tiny"),
        ("\ud800x", "[U+D800]x"),
        ("\ue000\ufffe\u2028", "[U+E000][U+FFFE]"),
        ("a\u3164b", "a[U+3164]b"),
        ("one\n \ttwo", "one two"),
        ("  ", ""),
    ],
)
def test_the_invisible_is_made_visible(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_line_breaks_stay_where_they_are_wanted() -> None:
    assert plain("one\n\ttwo\rthree", lines=True) == "one\n\ttwo␍three"


def test_long_text_is_cut_and_stacks_of_marks_are_flattened() -> None:
    assert plain("x" * 41, 40) == "x" * 39 + "…"
    assert plain("x" * 40, 40) == "x" * 40
    assert len(name("\x00" * 10_000)) == 120
    assert plain("Z" + "\u0310" * 60) == "Z" + "\u0310" * 4
    assert plain("e\u0301e\u0301") == "e\u0301e\u0301"


@pytest.mark.parametrize("text", ["", " ", "\u3000 "])
def test_a_name_of_nothing_is_said_in_words(text: str) -> None:
    assert name(text) == "(empty)"


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_hostile_text_is_quiet_afterwards(text: str) -> None:
    shown = plain(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "\u202a\u202b\u202e"]
    assert len(shown) < 12_000
    assert json.loads(json_block({"x": text})) == {"x": text}
    assert not set("<>&\u2028\u2029") & set(json_block({text: [text]}))
    assert everywhere({text: [text, 1, None]}) == {text: [plain(text, lines=True), 1, None]}


def test_a_terminal_keeps_lines_and_no_escape() -> None:
    assert terminal("first\n  second\x1b[2J\r") == "first\n  second␛[2J␍"


def test_json_holds_lone_surrogates_as_escapes() -> None:
    assert json_block("\ud800") == '"\\ud800"'
    json_block("\ud800").encode()
    with pytest.raises(ValueError, match="Out of range float"):
        json_block(float("nan"))
