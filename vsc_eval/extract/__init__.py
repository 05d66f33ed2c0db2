"""Generated text -> parsed answer or `invalid`. The only reader of answers: every table and metric compares its output.

`extract(text, kind=...)` is the way in. What it gives is canonical: two answers mean the same if and only if they are
equal, and reading an answer again gives that answer. It never guesses: what names no answer, or two, is `invalid`.
"""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal, get_args

from vsc_eval.extract.choice import extract_choice
from vsc_eval.extract.number import extract_number
from vsc_eval.extract.short_text import extract_text
from vsc_eval.extract.text import INVALID
from vsc_eval.extract.yes_no import extract_yes_no

__all__ = ["INVALID", "KINDS", "Kind", "extract", "extract_choice", "extract_number", "extract_text", "extract_yes_no"]

Kind = Literal["multiple_choice", "yes_no", "number", "short_text"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def extract(text: str, *, kind: Kind, options: Sequence[str] = (), letters: Sequence[str] = ()) -> str:
    """The answer that `text` gives, in canonical form, or `"invalid"`.

    - `multiple_choice`: one of `letters` (default: as many capitals from A as there are options). `options[i]` is the
      text of `letters[i]`; without options only letters are read.
    - `yes_no`: `"yes"` or `"no"`.
    - `number`: a decimal number without exponent: `"12.5"`. See `vsc_eval.extract.number` for commas and units.
    - `short_text`: lower case, without articles and punctuation; a number word or number as a number. With options, it
      must be one of them.

    Raises ValueError if options and letters do not fit the kind or each other.
    """
    if kind == "multiple_choice":
        names = tuple(letters) or tuple(ascii_uppercase[: len(options)])
        texts = tuple(options) or ("",) * len(names)
        if not names or len(names) != len(texts):
            raise ValueError(f"{len(texts)} options for {len(names)} letters")
        return extract_choice(text, texts, names)
    if letters:
        raise ValueError(f"letters for an answer of kind {kind}")
    if kind == "short_text":
        return extract_text(text, options)
    if options:
        raise ValueError(f"options for an answer of kind {kind}")
    if kind == "yes_no":
        return extract_yes_no(text)
    if kind == "number":
        return extract_number(text)
    raise ValueError(f"unknown kind of answer {kind!r}")


def likeliest_option(answers: Sequence[str], logprobs: Sequence[float]) -> str:
    """Of the `answers` that are options, the one with the largest log-probability; the first of equals."""
    return answers[logprobs.index(max(logprobs))]
