"""The reader of multiple-choice answers: text -> option letter or `invalid`.

It knows the item's letters and option texts, and looks for evidence in this order, taking the first kind that is there:

1. declarations ("the answer is (B)", "\\boxed{B}", "I choose red", "B is correct", a line that is nothing but an
   option): the last one wins, so that reasoning may name other options on the way;
2. a marked letter at the start ("B. red", "(B) because ...");
3. mentions: if exactly one option is named, without negation or refusal, that one;
4. a weak declaration that closes the text ("... so it's B.").

Two options at once ("B or C"), a letter that contradicts the option text beside it, a text that two options share, and
refusals are `invalid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vsc_eval.extract.text import (
    AHEAD,
    BEHIND,
    CHOOSE,
    INVALID,
    NEGATED_AFTER,
    NEGATED_BEFORE,
    REFUSAL,
    SENTENCE_END,
    STRONG_NOUN,
    VERB,
    negated,
    normalise,
)

_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
# "A because" is the letter, "A circle" the article; "I is" is the letter, "I see" the pronoun.
_AFTER_A_LETTER = r"(?:because|since|as|is|was|are|and|or|but|due|given|would|must|should|matches|fits|here)\b"
_WORD_GOES_ON = re.compile(rf" +(?!{_AFTER_A_LETTER})[A-Za-z0-9]")
_FILLER = re.compile(
    r"\s*(?:the|an?|option|choice|letter|statement|answer|correct|one|number|that|there|are|is|be|,|:|=|-+>?|>|–|—|→)?\s*",
    re.I,
)
_WEAK_NOUN = re.compile(
    r"\b(?:correct|right|best|final|true|matching|my)\s+(?:option|choice|letter|selection|response|statement|one)\b",
    re.I,
)
_IS_CORRECT = re.compile(
    r"\s*(?:is|are|seems|looks|must be|would be|has to be)\s+"
    r"(?:clearly\s+|definitely\s+|therefore\s+|thus\s+|indeed\s+)?"
    r"(?:the\s+)?(?:only\s+)?(?:correct|right(?!\s+of)|true|best|answer|final answer|one)\b",
    re.I,
)
_WEAK_CUE = re.compile(
    r"\b(?:so|therefore|thus|hence|it'?s|it is|it has to be|it must be|that'?s|that is|this is|which is"
    r"|there (?:is|are)|i(?:'d| would)? say|i think|i believe|clearly|i see|i count|must be|is|are)\b[,:]?",
    re.I,
)
_LINE_LEAD = re.compile(r"\s*(?:(?:option|choice|letter)\s+)?", re.I)
_ARTICLE = re.compile(r"(?:(?:the|an?)\s+)?", re.I)
_LABEL_GAP = re.compile(r"\s*[).:\]\-–—,(]*\s*(?:the option\s+)?")
_NAMING = re.compile(r"\b(?:option|choice|letter|answer|statement)\W*$", re.I)
_JOIN_FILLER = re.compile(r"(?:(?:the|option|choice|letter|statement)\s+){0,4}", re.I)
_JOIN = re.compile(
    r"\s*(?:,?\s*\b(?:or|and/or|and)\b|/|&|\||,)\s*(?:else\s+|also\s+|maybe\s+|perhaps\s+|possibly\s+)?", re.I
)
_LATIN = r"[\w'](?<![\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"
"""What makes a letter a part of a word; Chinese, Japanese and Korean have no blanks around a letter."""
_CLOSING_CHARACTERS = 200
_MOST_FILLERS = 16
_MOST_JOINS = 16
_HEAD_GOES_ON = re.compile(
    r"\s*(?:is|are|was|looks|seems|might|may|could|can|would|or|and|but|,\s*(?:or|and)|no|not|wrong|incorrect|false)\b",
    re.I,
)


@dataclass(frozen=True)
class _Reference:
    """A place in the text that names an option. `letter` is None where two options are named at once."""

    letter: str | None
    start: int
    end: int
    sharing: tuple[str, ...] = ()
    """For the text of an option: the letters of all options with that text."""


def _strip_article(text: str) -> str:
    return re.sub(r"^(?:the|an?)\s+(?=\w)", "", text.strip().rstrip(".").strip(), flags=re.I)


class _Reader:
    """Finds references to the options of one item. Built once per (options, letters)."""

    def __init__(self, options: tuple[str, ...], letters: tuple[str, ...]) -> None:
        self.letters = letters
        upper = "".join(re.escape(x) for x in letters)
        self.letter_class = upper + upper.lower()
        self.texts: dict[str, tuple[str, ...]] = {}
        for letter, option in zip(letters, options, strict=True):
            for spelling in self._spellings(option):
                self.texts[spelling] = (*self.texts.get(spelling, ()), letter)
        # Longest first: "dark red" must not be read as "red".
        alternatives = "|".join(self._pattern(s) for s in sorted(self.texts, key=len, reverse=True))
        self.text_regex = (
            re.compile(rf"(?<![\w'.-])(?<!\d,)(?:{alternatives})(?![\w'-]|[.,]\d)", re.I) if alternatives else None
        )
        self.letter_regex = re.compile(
            rf"(?<!{_LATIN})(?P<open>[(\[{{]\s*)?(?P<letter>[{self.letter_class}])(?P<close>\s*[)\]}}])?(?!{_LATIN})"
        )

    @staticmethod
    def _spellings(option: str) -> Iterator[str]:
        bare = _strip_article(normalise(option)).lower()
        if not bare:
            return
        yield bare
        if bare.isdecimal() and int(bare) < len(_NUMBER_WORDS):
            yield _NUMBER_WORDS[int(bare)]

    @staticmethod
    def _pattern(spelling: str) -> str:
        return r"\s+".join(re.escape(word) for word in spelling.split())

    def _is_word(self, text: str, match: re.Match[str], *, named: bool) -> bool:
        """Whether a matched letter is really the article "a" or the pronoun "I".

        `named` says that the words before it announced a letter ("option a", "answer: a").
        """
        if match["open"] or match["close"]:
            return False
        letter = match["letter"]
        if letter.islower() and not named:
            return True
        return letter in "aAI" and _WORD_GOES_ON.match(text, match.end()) is not None

    def letter_at(self, text: str, position: int, *, named: bool) -> _Reference | None:
        match = self.letter_regex.match(text, position)
        if match is None or self._is_word(text, match, named=named):
            return None
        return _Reference(match["letter"].upper(), match.start(), match.end())

    def text_at(self, text: str, position: int) -> _Reference | None:
        if self.text_regex is None:
            return None
        article = _ARTICLE.match(text, position)
        for place in (position, article.end() if article else position):
            match = self.text_regex.match(text, place)
            if match:
                return self._by_text(match, position)
        return None

    def _by_text(self, match: re.Match[str], start: int) -> _Reference:
        spelling = " ".join(match.group().lower().split())
        letters = self.texts.get(spelling)
        if letters is None:
            # A regex ignores case a little more broadly than `lower` does: dotless i, for one.
            same = (known for known in self.texts if re.fullmatch(self._pattern(known), match.group(), re.I))
            letters = self.texts[next(same)]
        return _Reference(letters[0] if len(letters) == 1 else None, start, match.end(), letters)

    def one_at(self, text: str, position: int, *, named: bool) -> _Reference | None:
        """A reference that starts at `position`: a letter, with its option text if that follows, or an option text."""
        found = self.letter_at(text, position, named=named)
        if found is None:
            return self.text_at(text, position)
        gap = _LABEL_GAP.match(text, found.end)
        beside = self.text_at(text, gap.end()) if gap else None
        if beside is None:
            return found
        if found.letter in beside.sharing:
            return _Reference(found.letter, found.start, beside.end)
        # "A. blue" where blue is B: contradictory. "A, three ..." in running text is no label, but is as unreadable.
        return _Reference(None, found.start, beside.end)

    def at(self, text: str, position: int, *, named: bool = True) -> _Reference | None:
        """Like `one_at`, but two options joined by "or", "and", "/" or "," give a reference without letter."""
        found = self.one_at(text, position, named=named)
        for _ in range(_MOST_JOINS):
            if found is None or found.letter is None:
                break
            join = _JOIN.match(text, found.end)
            other = self._after_filler(text, join.end(), named=named) if join else None
            if other is None or _IS_CORRECT.match(text, other.end) or NEGATED_AFTER.match(text, other.end):
                break
            same = other.letter == found.letter
            found = _Reference(found.letter if same else None, found.start, other.end)
        return found

    def _after_filler(self, text: str, position: int, *, named: bool) -> _Reference | None:
        filler = _JOIN_FILLER.match(text, position)
        for place in (position, filler.end() if filler else position):
            found = self.one_at(text, place, named=named)
            if found:
                return found
        return None

    def after(self, text: str, position: int) -> _Reference | None:
        """The reference that follows `position`, filler words ("the option", ":") skipped one by one."""
        for _ in range(_MOST_FILLERS):
            found = self.at(text, position)
            word = _FILLER.match(text, position)
            if found is not None or word is None or word.end() == position:
                return found
            position = word.end()
        return None

    def mentions(self, text: str) -> Iterator[_Reference]:
        """Every reference in running text that is not negated."""
        spans: list[_Reference] = []
        if self.text_regex is not None:
            spans += [self._by_text(match, match.start()) for match in self.text_regex.finditer(text)]
        for match in self.letter_regex.finditer(text):
            named = _NAMING.search(text, max(0, match.start() - BEHIND), match.start()) is not None
            if not self._is_word(text, match, named=named):
                spans.append(_Reference(match["letter"].upper(), match.start(), match.end()))
        for span in spans:
            if not negated(text, span.start, span.end):
                yield span


@lru_cache(maxsize=4096)
def _reader(options: tuple[str, ...], letters: tuple[str, ...]) -> _Reader:
    return _Reader(options, letters)


def _noun_declarations(reader: _Reader, text: str) -> Iterator[_Reference]:
    """ "the answer (to ...) is X", "answer: X", "the correct option is X"."""
    for noun, needs_verb in ((STRONG_NOUN, False), (_WEAK_NOUN, True)):
        for cue in noun.finditer(text):
            stop = SENTENCE_END.search(text, cue.end(), cue.end() + AHEAD)
            limit = stop.start() if stop else cue.end() + AHEAD
            places = [m.end() for m in VERB.finditer(text, cue.end(), limit)]
            if not needs_verb:
                places.insert(0, cue.end())
            if text[cue.end() : cue.end() + 1] == ":" or not places:
                places.insert(0, cue.end())
            for place in places:
                found = reader.after(text, place)
                if found is not None:
                    yield found
                    break


def _line_declarations(reader: _Reader, text: str) -> Iterator[_Reference]:
    """The last line that holds nothing but an option. Lines that name every option are an echo of the question."""
    found = []
    for line in re.finditer(r"[^\n]+", text):
        lead = _LINE_LEAD.match(text, line.start())
        reference = reader.at(text, lead.end() if lead else line.start())
        if reference and reference.letter and not text[reference.end : line.end()].strip(" .,;:!)]"):
            found.append(reference)
    named = {reference.letter for reference in found}
    closes_text = bool(found) and found[-1].end >= len(text.rstrip(" .!)]"))
    if len(named) == 1 or (closes_text and len(named) < len(reader.letters)):
        yield found[-1]


def _declarations(reader: _Reader, text: str) -> Iterator[_Reference]:
    yield from _noun_declarations(reader, text)
    for cue in CHOOSE.finditer(text):
        if not NEGATED_BEFORE.search(text, max(0, cue.start() - BEHIND), cue.start()):
            found = reader.after(text, cue.end())
            if found:
                yield found
    for mention in reader.mentions(text):
        correct = _IS_CORRECT.match(text, mention.end)
        if correct:
            yield mention
    yield from _line_declarations(reader, text)


def _head(reader: _Reader, text: str) -> str | None:
    """The letter of "B. ..." or "(B) ..." at the start of the text, if no other line starts so."""
    match = re.compile(
        rf"[(\[]?([{reader.letter_class}])(?:[)\].:,;]|\s+[-–—]|\s*\n|\s+(?=because\b|since\b|as\b))"
    ).match(text)
    if match is None or _HEAD_GOES_ON.match(text, match.end()):
        return None
    starts = re.findall(rf"(?m)^\s*[(\[]?([{reader.letter_class}])(?:[)\].:]|\s*$)", text)
    if len({s.upper() for s in starts}) > 1:
        return None
    found = reader.at(text, 0)
    return (found.letter or INVALID) if found else match[1].upper()


def extract_choice(text: str, options: Sequence[str], letters: Sequence[str] = ("A", "B", "C", "D")) -> str:
    """The letter that `text` chooses among `letters`, or `"invalid"`.

    `options[i]` is the text of the option `letters[i]`; both have the same length, letters are single capitals.
    """
    reader = _reader(tuple(options), tuple(letters))
    text = normalise(text)
    if not text:
        return INVALID
    whole = reader.at(text, 0)
    if whole and not text[whole.end :].strip(" .,;:!)]}"):
        return whole.letter or INVALID
    declared = sorted(_declarations(reader, text), key=lambda reference: (reference.start, reference.end))
    if declared:
        return declared[-1].letter or INVALID
    head = _head(reader, text)
    if head is not None:
        return head
    if REFUSAL.search(text):
        return INVALID
    mentioned = list(reader.mentions(text))
    if len({mention.letter for mention in mentioned}) == 1:
        return mentioned[0].letter or INVALID
    closing = _WEAK_CUE.finditer(text, max(0, len(text) - _CLOSING_CHARACTERS))
    weak = [found for cue in closing if (found := reader.after(text, cue.end()))]
    last = weak[-1] if weak else None
    return (last.letter or INVALID) if last and not text[last.end :].strip(" .!") else INVALID


def likeliest_option(answers: Sequence[str], logprobs: Sequence[float]) -> str:
    """Of the `answers` that are options, the one with the largest log-probability; the first of equals."""
    return answers[logprobs.index(max(logprobs))]
