"""The reader of short free answers: text -> normalised words or `invalid`.

The last declaration ("The answer is ...", "Answer: ...", "\\boxed{...}") gives the answer, else the whole text does.
Case, articles, quotes and punctuation are dropped, and an answer that is one number is written as `extract_number`
writes it, with `%` where it was a percentage: "1,200", "1200" and "$1,200" are the same answer, "5%" and "5" are not. A
refusal, an empty answer and one of more than 40 words are `invalid`.
"""

import re
from collections.abc import Sequence

from vsc_eval.extract.numerals import canonical, numbers, western
from vsc_eval.extract.text import INVALID, fold, squeeze, unwrap

_MOST_WORDS = 40
_PASSES = 8
_DECLARED = re.compile(
    r"\b(?:(?:the|my|final|correct|right|best|short|and|so|therefore|thus|hence),?\s+){0,5}"
    r"answer(?:\s+(?:to|for|here)\b[^.:=\n]{0,100}?)?\s*(?:is|are|was|would be|will be|:|=)+\s*(?:that\s+)?:?",
    re.I,
)
_LEAD = re.compile(
    r"^(?:it is|it's|this is|that is|that's|answer|i think|i believe|i would say|i'd say|there is|there are)\b\W*", re.I
)
_REASON = re.compile(r",?\s+(?:because|since)\b.*$", re.I | re.S)
_REFUSES = re.compile(
    r"^(?:i'm sorry|i am sorry|sorry|i can't|i cannot|i can not|i'm unable|i am unable|i'm not able|i am not able"
    r"|i don't know|i do not know|i'm not sure|i am not sure|unable to|it is (?:not possible|impossible|unclear)"
    r"|it's (?:not possible|impossible|unclear)|cannot be determined|can't be determined|as an ai"
    r"|not enough information)\b",
    re.I,
)
# A stop ends the answer unless it belongs to a number, an initial or a title ("12.5", "U.S.", "Dr. Who").
_STOP = re.compile(r"(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<!\bMrs)[.!?](?=\s+\S)|\n")
_ARTICLES = frozenset(("a", "an", "the"))


def extract_text(text: str, options: Sequence[str] = ()) -> str:
    """The answer in lower case, or `"invalid"`. With `options`, the answer must be one of them after normalising."""
    answer = _canonical(text)
    if options and answer not in {_canonical(option) for option in options}:
        return INVALID
    return answer


def _canonical(text: str) -> str:
    """Reads the answer until reading it again changes nothing, so that equal answers are written alike."""
    for _ in range(_PASSES):
        answer = _once(text)
        if answer == text:
            return answer
        text = answer
    return INVALID


def _once(text: str) -> str:
    text = squeeze(unwrap(fold(western(text))))
    text = squeeze(re.sub(r"\*\*|[`#\\]|(?<=\d)\$", " ", text))
    declared = list(_DECLARED.finditer(text))
    if declared:
        text = text[declared[-1].end() :].strip()
        stop = _STOP.search(text)
        text = _REASON.sub("", text[: stop.start()] if stop else text)
    if _REFUSES.match(text) or len(text.split()) > 2 * _MOST_WORDS:
        return INVALID
    answer = _words(text)
    return INVALID if not answer or answer.count(" ") >= _MOST_WORDS else answer


def _words(text: str) -> str:
    """The normal form: itself, if it is one already."""
    text = text.strip()
    while (lead := _LEAD.match(text)) and lead.end() < len(text):
        text = text[lead.end() :]
    number = _number(text)
    if number is not None:
        return number
    text = text.lower().replace("&", " and ")
    text = re.sub(r"(?<=\w)'(?=\w)", "", text)
    text = re.sub(r"(?<=\b[^\W\d_])\.(?=[^\W\d_]\b)", "", text)
    text = re.sub(r"(?!(?<=\d)[.,:/-](?=\d))[^\w\s%]|_", " ", text)
    text = re.sub(r"%(?<!\d%)", " ", text)
    words = text.split()
    # The last word is no article: "Group A", "vitamin A".
    return " ".join([word for word in words[:-1] if word not in _ARTICLES] + words[-1:])


def _number(text: str) -> str | None:
    """The canonical number, if the text is one number and nothing else."""
    bare = text.strip(" .,;:!?()[]\"'")
    found = numbers(bare)
    if len(found) != 1 or found[0].start != 0 or found[0].end != len(bare) or found[0].value is None:
        return None
    return canonical(found[0].value) + ("%" if found[0].percent else "")
