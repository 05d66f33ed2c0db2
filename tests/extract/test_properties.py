"""What holds for every text: a valid answer or `invalid`, no exception, and time linear in its length."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vsc_eval.extract import INVALID, KINDS, Kind, extract, extract_choice, extract_number, extract_text, extract_yes_no
from vsc_eval.extract.numerals import canonical, numbers

OPTIONS = ("red", "the dark red one", "12", "No", "straße")
LETTERS = ("A", "B", "C", "D", "E")

_PIECES = (
    "the a answer is are : , . ; ( ) B b A or and not no yes No Yes No. 5 12,5 1,200 1.200,5 -3 % $ € twelve twenty one"
    " point hundred half third so = + × 10^3 e3 | || ** <think> </think> <answer> </answer> \\boxed{ } ' red dark İ ſ ß"
    " option correct It's I cannot tell because wait ½ ² ٣ ١ Ｂ \u0301 \u202f the the"
)
WORDS = st.sampled_from([piece.replace("|", "\n") for piece in _PIECES.split(" ")])
TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(WORDS, max_size=14).map(" ".join),
    st.lists(WORDS, max_size=14).map("".join),
)


def read(kind: Kind, text: str) -> str:
    if kind == "multiple_choice":
        return extract(text, kind=kind, options=OPTIONS, letters=LETTERS)
    return extract(text, kind=kind)


def is_valid(kind: Kind, answer: str) -> bool:
    if kind == "multiple_choice":
        return answer in LETTERS
    if kind == "yes_no":
        return answer in ("yes", "no")
    if kind == "number":
        return re.fullmatch(r"0|-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?", answer) is not None and answer != "-0"
    return answer != "" and answer == answer.lower().strip() and len(answer.split()) <= 40


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
@example(text="dark red İ redı")
@example(text="1" * 40 + "e30")
@example(text="the answer: the answer: the answer: a a a the")
def test_a_valid_answer_or_invalid_and_itself_when_read_again(kind: Kind, text: str) -> None:
    answer = read(kind, text)
    assert answer == INVALID or is_valid(kind, answer), answer
    assert read(kind, answer) == answer


@settings(max_examples=300, deadline=None)
@given(st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=6))
def test_every_number_is_read_from_its_canonical_form(value: Decimal) -> None:
    text = canonical(value)
    assert Decimal(text) == value
    assert extract_number(text) == text
    assert extract_number(f"The answer is {text}.") == text
    assert extract_text(text) == text


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_numbers_in_words_and_with_thousands_marks(value: int) -> None:
    assert extract_number(in_words(value)) == str(value)
    assert extract_number(f"{value:,}") == str(value)
    assert extract_number(f"{value:,}".replace(",", "\u202f")) == str(value)


def in_words(value: int) -> str:
    """English words of a number below 10^15: an independent speller."""
    teens = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
    units = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    units = (*units, *teens)
    tens = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    if value < 20:
        return units[value]
    if value < 100:
        return tens[value // 10] + (f"-{units[value % 10]}" if value % 10 else "")
    if value < 1000:
        return f"{units[value // 100]} hundred" + (f" and {in_words(value % 100)}" if value % 100 else "")
    for power, name in ((12, "trillion"), (9, "billion"), (6, "million"), (3, "thousand")):
        if value >= 10**power:
            rest = value % 10**power
            return f"{in_words(value // 10**power)} {name}" + (f" {in_words(rest)}" if rest else "")
    raise AssertionError(value)


def test_gold_and_answer_that_are_both_unreadable_are_the_same_invalid() -> None:
    """So a metric must refuse an invalid gold: comparing would call it right."""
    assert extract_number("a lot") == extract_number("many") == INVALID


@pytest.mark.parametrize("kind", ["yes_no", "number"])
def test_options_and_letters_only_where_they_mean_something(kind: Kind) -> None:
    with pytest.raises(ValueError, match="options"):
        extract("1", kind=kind, options=("1",))
    with pytest.raises(ValueError, match="letters"):
        extract("1", kind=kind, letters=("A",))


def test_options_and_letters_must_fit() -> None:
    with pytest.raises(ValueError, match="2 options for 3 letters"):
        extract("A", kind="multiple_choice", options=("x", "y"), letters=("A", "B", "C"))
    with pytest.raises(ValueError, match="0 options for 0 letters"):
        extract("A", kind="multiple_choice")
    with pytest.raises(ValueError, match="unknown kind"):
        extract("A", kind="essay")  # type: ignore[arg-type]
    assert extract("second", kind="multiple_choice", options=("first", "second")) == "B"


def test_numbers_are_found_in_order_and_apart() -> None:
    found = numbers("twelve of 1.2 million are 5%")
    assert [canonical(n.value) for n in found if n.value is not None] == ["12", "1200000", "5"]
    assert [n.percent for n in found] == [False, False, True]
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


LENGTH = 100_000
REPEATED = (
    "A ", "B or ", "answer ", "answer is ", "not ", "yes/no ", "1", "1 ", "1,", "1.2e", "twenty-", "5 = ", " ", "\n ",
    "<answer> ", "\\boxed{", "it is ", "\u0301\u0323", "$", "A\n", "1. x\n", "the answer is A or B. ",
)  # fmt: skip
"""Each repeated has cost some version of a reader quadratic time, or looks as if it might."""


def seconds(read_one: Callable[[str], str], text: str) -> float:
    start = time.process_time()
    read_one(text)
    return time.process_time() - start


@pytest.mark.parametrize("piece", REPEATED, ids=ascii)
@pytest.mark.parametrize(
    "read_one",
    [lambda text: extract_choice(text, OPTIONS, LETTERS), extract_yes_no, extract_number, extract_text],
    ids=["choice", "yes_no", "number", "text"],
)
def test_time_is_linear(read_one: Callable[[str], str], piece: str) -> None:
    """A model that repeats itself must not hold up a run: 100,000 characters, which a quadratic reader would take
    minutes for, and no more than in proportion to a tenth of them."""
    long = (piece * LENGTH)[:LENGTH]
    took = seconds(read_one, long)
    if took > 0.5:
        # A busy machine slows single readings down; the least of several is the reader's own.
        took = min(took, *(seconds(read_one, long) for _ in range(3)))
        tenth = min(seconds(read_one, long[: LENGTH // 10]) for _ in range(3))
        assert took < 30 * tenth, f"{took:.2f} s, {tenth:.3f} s for a tenth"
