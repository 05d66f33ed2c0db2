"""The extractor on answers as models write them, awkward ones included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsc_eval.extract import INVALID, extract_choice
from vsc_eval.synthetic import LEVELS, TASKS, make_items

COLOURS = ("red", "blue", "green", "yellow")
COUNTS = ("1", "2", "3", "13")
SIDES = ("left", "right", "above", "below")
SHAPES = ("a red circle", "a blue square", "a red square", "a dark red circle")
STATEMENTS = (
    "The red circle is left of the blue square.",
    "The blue square is left of the red circle.",
    "There is no red circle.",
    "All squares are blue.",
)

CASES = [
    # bare letters and their dress
    ("B", COLOURS, "B"),
    ("b", COLOURS, "B"),
    (" B ", COLOURS, "B"),
    ("B.", COLOURS, "B"),
    ("(B)", COLOURS, "B"),
    ("(b)", COLOURS, "B"),
    ("[C]", COLOURS, "C"),
    ("**C**", COLOURS, "C"),
    ("**(C)**", COLOURS, "C"),
    ("`D`", COLOURS, "D"),
    ("'B'", COLOURS, "B"),
    ("“B”", COLOURS, "B"),
    ("Ｂ", COLOURS, "B"),
    ("B\n", COLOURS, "B"),
    ("$\\boxed{C}$", COLOURS, "C"),
    ("\\boxed{\\text{C}}", COLOURS, "C"),
    ("<answer>D</answer>", COLOURS, "D"),
    ("<think>A or B? It is A.</think> D", COLOURS, "D"),
    ("B<|im_end|>", COLOURS, "B"),
    # option texts
    ("red", COLOURS, "A"),
    ("Red.", COLOURS, "A"),
    ("It is green.", COLOURS, "C"),
    ("The colour is yellow", COLOURS, "D"),
    ("3", COUNTS, "C"),
    ("three", COUNTS, "C"),
    ("There are 13 circles.", COUNTS, "D"),
    ("There are three red circles.", COUNTS, "C"),
    ("3.5", COUNTS, INVALID),
    ("a dark red circle", SHAPES, "D"),
    ("The red circle", SHAPES, "A"),
    ("the red square is in the image", SHAPES, "C"),
    ("purple", COLOURS, INVALID),
    ("reddish", COLOURS, INVALID),
    (STATEMENTS[1], STATEMENTS, "B"),
    ("All squares are blue", STATEMENTS, "D"),
    # letter and text together
    ("A. red", COLOURS, "A"),
    ("A) red", COLOURS, "A"),
    ("(A) red", COLOURS, "A"),
    ("A: red.", COLOURS, "A"),
    ("A - red", COLOURS, "A"),
    ("A red", COLOURS, "A"),
    ("red (A)", COLOURS, "A"),
    ("A. blue", COLOURS, INVALID),
    ("C. The leftmost circle has that colour.", COLOURS, "C"),
    ("B, because the square is next to it", COLOURS, "B"),
    ("B because the red one is elsewhere", COLOURS, "B"),
    ("B) " + STATEMENTS[1], STATEMENTS, "B"),
    # declarations
    ("Option d)", COLOURS, "D"),
    ("option B", COLOURS, "B"),
    ("Answer: C", COLOURS, "C"),
    ("answer: c", COLOURS, "C"),
    ("Answer C", COLOURS, "C"),
    ("The answer is a", COLOURS, "A"),
    ("The answer is A because it touches the edge.", COLOURS, "A"),
    ("The correct answer is (B)", COLOURS, "B"),
    ("The correct answer is **B**.", COLOURS, "B"),
    ("The correct answer is: B. blue", COLOURS, "B"),
    ("The correct option is B", COLOURS, "B"),
    ("The answer is option (C): green", COLOURS, "C"),
    ("The answer is blue.", COLOURS, "B"),
    ("The answer to the question is D.", COLOURS, "D"),
    ("My final answer is D", COLOURS, "D"),
    ("I choose C.", COLOURS, "C"),
    ("I would go with green", COLOURS, "C"),
    ("I'd say B", COLOURS, "B"),
    ("B is correct", COLOURS, "B"),
    ("B is the correct answer.", COLOURS, "B"),
    ("Statement C is true.", STATEMENTS, "C"),
    ("The answer is right.", SIDES, "B"),
    ("C is right", SIDES, "C"),
    ("A is to the right of B.", ("left", "right", "up", "down"), INVALID),
    ("So it's B.", COLOURS, "B"),
    # several letters: the last declaration wins
    ("A is red, B is blue. C is not there. The answer is B.", COLOURS, "B"),
    ("At first the answer is A. But wait, the answer is C.", COLOURS, "C"),
    ("Option A is wrong. Option B is wrong. Option D is correct.", COLOURS, "D"),
    ("A: no. B: no. C: yes.\nAnswer: C", COLOURS, "C"),
    ("Let me compare A, B and D with the image.\n\nD", COLOURS, "D"),
    ("The answer is not A, it is B.", COLOURS, "B"),
    ("A is not correct. C is correct.", COLOURS, "C"),
    ("Answer: B. C is wrong since it shows a square.", COLOURS, "B"),
    ("The answer is A.\nActually, the correct answer is (D).", COLOURS, "D"),
    # two options at once
    ("B or C", COLOURS, INVALID),
    ("B and C", COLOURS, INVALID),
    ("B/C", COLOURS, INVALID),
    ("B, C", COLOURS, INVALID),
    ("Either (A) or (B)", COLOURS, INVALID),
    ("The answer is B or C.", COLOURS, INVALID),
    ("The answer is red or blue.", COLOURS, INVALID),
    ("A, B, C and D", COLOURS, INVALID),
    ("A. red\nB. blue\nC. green\nD. yellow", COLOURS, INVALID),
    ("A\nB\nC\nD", COLOURS, INVALID),
    ("The red one is beside the blue one", COLOURS, INVALID),
    # refusals and negations
    ("I cannot tell", COLOURS, INVALID),
    ("I can't tell whether it is B", COLOURS, INVALID),
    ("I am not sure.", COLOURS, INVALID),
    ("Not A", COLOURS, INVALID),
    ("It is not red", COLOURS, INVALID),
    ("It isn't B.", COLOURS, INVALID),
    ("None of the above", SIDES, INVALID),
    # words that look like letters
    ("A circle", COLOURS, INVALID),
    ("A circle is in the corner.", COLOURS, INVALID),
    ("I see a circle", COLOURS, INVALID),
    ("I see a red circle", COLOURS, "A"),
    ("a big shape", COLOURS, INVALID),
    ("Because", COLOURS, INVALID),
    ("can't", COLOURS, INVALID),
    ("I'd", COLOURS, INVALID),
    ("E", COLOURS, INVALID),
    ("BC", COLOURS, INVALID),
    ("A1", COLOURS, INVALID),
    ("", COLOURS, INVALID),
    ("\n  \n", COLOURS, INVALID),
    ("...", COLOURS, INVALID),
    ("[UNK] [UNK]", COLOURS, INVALID),
]


@pytest.mark.parametrize(("text", "options", "expected"), CASES)
def test_awkward_answers(text: str, options: tuple[str, ...], expected: str) -> None:
    assert extract_choice(text, options) == expected


def test_pronoun_when_i_is_a_letter() -> None:
    letters = tuple("ABCDEFGHI")
    options = tuple(f"colour{k}" for k in range(9))
    assert extract_choice("I cannot tell", options, letters) == INVALID
    assert extract_choice("I think it is C", options, letters) == "C"
    assert extract_choice("I", options, letters) == "I"
    assert extract_choice("The answer is (I).", options, letters) == "I"


def test_letters_are_restricted_to_the_item() -> None:
    assert extract_choice("C", ("yes", "no"), ("A", "B")) == INVALID
    assert extract_choice("yes", ("yes", "no"), ("A", "B")) == "A"


@given(st.text(max_size=60))
def test_any_text_gives_a_letter_or_invalid(text: str) -> None:
    assert extract_choice(text, COLOURS) in ("A", "B", "C", "D", INVALID)


@given(st.sampled_from("ABCD"), st.sampled_from(["{}", "({})", "Answer: {}", "**{}.**", "The answer is {}."]))
def test_every_letter_is_read_alike(letter: str, frame: str) -> None:
    assert extract_choice(frame.format(letter), COLOURS) == letter


FRAMES = (
    "{letter}",
    "({letter})",
    "{letter}. {text}",
    "{letter}) {text}.",
    "{text}",
    "The answer is {letter}.",
    "The correct answer is ({letter}) {text}.",
    "Answer: {text}",
    "**{letter}. {text}**",
    "I looked at A, B, C and D.\nAnswer: {letter}",
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("frame", FRAMES)
def test_options_of_the_benchmark_are_read(task: str, frame: str) -> None:
    for level in LEVELS:
        for item in make_items("test", task, level, 12):
            for letter, text in zip("ABCD", item.options, strict=True):
                assert extract_choice(frame.format(letter=letter, text=text), item.options) == letter, item.options
