"""Every word that a prompt can hold: question templates, option texts and the prompt around them.

Each task has five templates: the first `MAIN_TEMPLATES` are used everywhere, the others are held out for checks that
must not be passed by recognising a question's words. The functions take plain parameters, so that other questions
about the same scenes can be asked in the same words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from vsc_eval.synthetic.scene import COLOURS, SHAPES

LETTERS: Final = ("A", "B", "C", "D")
RELATIONS: Final = ("left", "right", "above", "below")
DIRECTIONS: Final = ("left", "right", "up", "down")
POSITION_WORDS: Final = {
    "leftmost": ("x", "min"),
    "rightmost": ("x", "max"),
    "topmost": ("y", "min"),
    "bottommost": ("y", "max"),
}
"""Word -> (coordinate, extreme)."""

MAIN_TEMPLATES: Final = 3
N_TEMPLATES: Final = 5
INSTRUCTION: Final = "Answer with the letter of the correct option."

_COUNT = (
    "How many {colour} {shapes} are there?",
    "How many {colour} {shapes} are in the image?",
    "Count the {colour} {shapes}. How many are there?",
    "What is the number of {colour} {shapes}?",
    "The image shows how many {colour} {shapes}?",
)
_RELATION = (
    "Where is the {a} relative to the {b}?",
    "Relative to the {b}, where is the {a}?",
    "Where is the {a}, seen from the {b}?",
    "In which direction from the {b} does the {a} lie?",
    "Compared with the {b}, where is the {a}?",
)
_ATTRIBUTE = (
    "What colour is the {reference}?",
    "What is the colour of the {reference}?",
    "The {reference} has what colour?",
    "Which colour does the {reference} have?",
    "Name the colour of the {reference}.",
)
_COMPARISON = (
    "Which colour is the {extreme} {shape}?",
    "Of all the {shapes}, which colour is the {extreme} one?",
    "Compare the {shapes}. Which colour is the {extreme} one?",
    "Look for the {extreme} {shape}. Which colour is it?",
    "The {extreme} of the {shapes} is which colour?",
)
_EXISTENCE = (
    "Which of these is in the image?",
    "Which of these does the image show?",
    "Which of these can be seen in the image?",
    "Which of these appears in the picture?",
    "Which object is present?",
)
_ABSENCE = (
    "Which of these is not in the image?",
    "Which of these does the image not show?",
    "Which of these cannot be seen in the image?",
    "Which of these does not appear in the picture?",
    "Which object is absent?",
)
_LOGIC = (
    "Which statement is true?",
    "Which of the statements is true?",
    "Which statement fits the image?",
    "Which statement describes the image correctly?",
    "What is true of the image?",
)
_HOPS = (
    "Start at the {start}, move {moves}. What colour is the object there?",
    "Begin at the {start} and move {moves}. What colour do you reach?",
    "From the {start}, go {moves}. What colour is the object there?",
    "Step {moves} from the {start}. Which colour is in that place?",
    "You stand on the {start} and walk {moves}. What colour is under you?",
)


def plural(shape: str) -> str:
    """`circle` -> `circles`, `cross` -> `crosses`."""
    return shape + ("es" if shape.endswith("s") else "s")


def object_phrase(colour: str, shape: str) -> str:
    """`red circle`: an option of existence, a referent elsewhere."""
    return f"{colour} {shape}"


def count_question(colour: str, shape: str, template: int) -> str:
    """Options are numbers: `str(n)`."""
    return _COUNT[template].format(colour=colour, shapes=plural(shape))


def relation_question(a: str, b: str, template: int) -> str:
    """`a` and `b` are object phrases; options are `RELATIONS`."""
    return _RELATION[template].format(a=a, b=b)


def attribute_question(reference: str, template: int) -> str:
    """`reference` is a shape, or one with `large`, `small`, `leftmost` ... before it; options are colours."""
    return _ATTRIBUTE[template].format(reference=reference)


def comparison_question(extreme: str, shape: str, template: int) -> str:
    """`extreme` is `largest` or `smallest`; options are colours."""
    return _COMPARISON[template].format(extreme=extreme, shape=shape, shapes=plural(shape))


def existence_question(negative: bool, template: int) -> str:
    """Options are object phrases."""
    return (_ABSENCE if negative else _EXISTENCE)[template]


def logic_question(template: int) -> str:
    """Options are statements."""
    return _LOGIC[template]


def hop_question(start: str, moves: Sequence[str], template: int) -> str:
    """`start` is an object phrase, `moves` some of `DIRECTIONS`; options are colours."""
    return _HOPS[template].format(start=start, moves=", then ".join(moves))


def exists_statement(colour: str, shape: str, positive: bool) -> str:
    article = "an" if colour[0] in "aeiou" else "a"
    return f"there is {article if positive else 'no'} {colour} {shape}"


def all_statement(colour: str, shape: str, positive: bool) -> str:
    return f"{'' if positive else 'not '}all {plural(shape)} are {colour}"


def none_statement(colour: str, shape: str, positive: bool) -> str:
    """Positive: no such object (`no star is blue`); negative: at least one (`some star is blue`)."""
    return f"{'no' if positive else 'some'} {shape} is {colour}"


def both(a: str, b: str) -> str:
    return f"{a} and {b}"


def either(a: str, b: str) -> str:
    """At least one of the two."""
    return f"{a} or {b}"


def all_three(a: str, b: str, c: str) -> str:
    return f"{a} and {b} and {c}"


def one_and_either(a: str, b: str, c: str) -> str:
    """a, and at least one of b and c."""
    return f"{a}, and either {b} or {c}"


def format_prompt(question: str, options: Sequence[str]) -> str:
    """The text that a model reads after the picture."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, INSTRUCTION])


def words(text: str) -> list[str]:
    """Word-level tokens: runs of letters or digits, and single punctuation marks."""
    return re.findall(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]", text)


def _texts() -> Iterator[str]:
    pairs = list(itertools.product(COLOURS, SHAPES))
    references = [
        *(" ".join(parts) for parts in itertools.product(("large", "small", *POSITION_WORDS, *COLOURS), SHAPES)),
        *SHAPES,
    ]
    for template in range(N_TEMPLATES):
        yield from (count_question(colour, shape, template) for colour, shape in pairs)
        yield relation_question(object_phrase("red", "circle"), object_phrase("blue", "star"), template)
        yield from (attribute_question(reference, template) for reference in references)
        yield from (comparison_question(e, s, template) for e in ("largest", "smallest") for s in SHAPES)
        yield from (existence_question(negative, template) for negative in (False, True))
        yield logic_question(template)
        yield hop_question(object_phrase("red", "circle"), DIRECTIONS, template)
    for (colour, shape), positive in itertools.product(pairs, (True, False)):
        yield exists_statement(colour, shape, positive)
        yield all_statement(colour, shape, positive)
        yield none_statement(colour, shape, positive)
    yield one_and_either("a", both("a", "a"), either("a", "a"))
    yield format_prompt("", RELATIONS)
    yield from map(str, range(10))


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Every token of `words` that any prompt can hold, held-out paraphrases included, sorted."""
    return tuple(sorted({word for text in _texts() for word in words(text)}))
