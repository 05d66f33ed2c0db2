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

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vsc_eval.extract.numerals import TEENS
from vsc_eval.extract.text import BEHIND, CHOOSE, INVALID, NEGATED_AFTER, REFUSAL, STRONG_NOUN, VERB, Reader, normalise

_NUMBER_WORDS = (*TEENS, "twenty")
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


class _Options:
    """How the options of one item are written. Built once per (options, letters)."""

    def __init__(self, options: tuple[str, ...], letters: tuple[str, ...]) -> None:
        self.letters = letters
        upper = "".join(re.escape(x) for x in letters)
        either = upper + upper.lower()
        self.texts: dict[str, tuple[str, ...]] = {}
        for letter, option in zip(letters, options, strict=True):
            for spelling in self._spellings(option):
                self.texts[spelling] = (*self.texts.get(spelling, ()), letter)
        # Longest first: "dark red" must not be read as "red".
        alternatives = "|".join(self._pattern(s) for s in sorted(self.texts, key=len, reverse=True))
        # Without texts, a pattern that nothing matches.
        self.text_regex = re.compile(rf"(?<![\w'.-])(?<!\d,)(?:{alternatives or '(?!)'})(?![\w'-]|[.,]\d)", re.I)
        self.letter_regex = re.compile(
            rf"(?<!{_LATIN})(?P<open>[(\[{{]\s*)?(?P<letter>[{either}])(?P<close>\s*[)\]}}])?(?!{_LATIN})"
        )
        self.head = re.compile(rf"[(\[]?([{either}])(?:[)\].:,;]|\s+[-–—]|\s*\n|\s+(?=because\b|since\b|as\b))")
        self.line_start = re.compile(rf"(?m)^\s*[(\[]?([{either}])(?:[)\].:]|\s*$)")

    @staticmethod
    def _spellings(option: str) -> Iterator[str]:
        bare = re.sub(r"^(?:the|an?)\s+(?=\w)", "", normalise(option).rstrip(".").strip(), flags=re.I).lower()
        if bare:
            yield bare
        if bare.isdecimal() and int(bare) < len(_NUMBER_WORDS):
            yield _NUMBER_WORDS[int(bare)]

    @staticmethod
    def _pattern(spelling: str) -> str:
        return r"\s+".join(re.escape(word) for word in spelling.split())

    def sharing(self, text: str) -> tuple[str, ...]:
        """The letters of the options with a text that `text_regex` found."""
        exact = self.texts.get(" ".join(text.lower().split()))
        # A regex ignores case a little more broadly than `lower` does: dotless i, for one.
        same = (self.texts[known] for known in self.texts if re.fullmatch(self._pattern(known), text, re.I))
        return exact or next(same)


_options = lru_cache(maxsize=4096)(_Options)


class _Reader(Reader[_Reference]):
    """Finds references to the options of one item in a text."""

    filler, most_fillers = _FILLER, 16

    def __init__(self, text: str, options: _Options) -> None:
        super().__init__(text)
        self.options = options

    def _by_letter(self, match: re.Match[str] | None, *, named: bool) -> _Reference | None:
        """A matched letter, unless it is really the article "a" or the pronoun "I".

        `named` says that the words before it announced a letter ("option a", "answer: a").
        """
        if match is None:
            return None
        letter, bare = match["letter"], not (match["open"] or match["close"])
        word = letter in "aAI" and _WORD_GOES_ON.match(self.text, match.end())
        if bare and (word or (letter.islower() and not named)):
            return None
        return _Reference(letter.upper(), match.start(), match.end())

    def _by_text(self, match: re.Match[str], start: int) -> _Reference:
        letters = self.options.sharing(match.group())
        return _Reference(letters[0] if len(letters) == 1 else None, start, match.end(), letters)

    def _text_at(self, position: int) -> _Reference | None:
        for place in (position, _skip(_ARTICLE, self.text, position)):
            match = self.options.text_regex.match(self.text, place)
            if match:
                return self._by_text(match, position)
        return None

    def one_at(self, position: int) -> _Reference | None:
        """A reference that starts at `position`: a letter, with its option text if that follows, or an option text."""
        found = self._by_letter(self.options.letter_regex.match(self.text, position), named=True)
        if found is None:
            return self._text_at(position)
        beside = self._text_at(_skip(_LABEL_GAP, self.text, found.end))
        if beside is None:
            return found
        # "A. blue" where blue is B: contradictory. "A, three ..." in running text is no label, but is as unreadable.
        return _Reference(found.letter if found.letter in beside.sharing else None, found.start, beside.end)

    def at(self, position: int) -> _Reference | None:
        """Like `one_at`, but two options joined by "or", "and", "/" or "," give a reference without letter."""
        found = self.one_at(position)
        for _ in range(_MOST_JOINS):
            join = _JOIN.match(self.text, found.end) if found and found.letter else None
            if found is None or join is None:
                break
            other = self.one_at(join.end()) or self.one_at(_skip(_JOIN_FILLER, self.text, join.end()))
            if other is None or _IS_CORRECT.match(self.text, other.end) or NEGATED_AFTER.match(self.text, other.end):
                break
            found = _Reference(found.letter if other.letter == found.letter else None, found.start, other.end)
        return found

    def mentions(self) -> Iterator[_Reference]:
        """Every reference in running text that is not negated."""
        spans = [self._by_text(match, match.start()) for match in self.options.text_regex.finditer(self.text)]
        for match in self.options.letter_regex.finditer(self.text):
            named = _NAMING.search(self.text, max(0, match.start() - BEHIND), match.start()) is not None
            letter = self._by_letter(match, named=named)
            if letter:
                spans.append(letter)
        return (span for span in spans if not self.negated(span.start, span.end))

    def line_declarations(self) -> Iterator[_Reference]:
        """The last line that holds nothing but an option. Lines that name every option are an echo of the question."""
        found = []
        for line in re.finditer(r"[^\n]+", self.text):
            reference = self.at(_skip(_LINE_LEAD, self.text, line.start()))
            if reference and reference.letter and not self.text[reference.end : line.end()].strip(" .,;:!)]"):
                found.append(reference)
        named = {reference.letter for reference in found}
        closes_text = bool(found) and found[-1].end >= len(self.text.rstrip(" .!)]"))
        if len(named) == 1 or (closes_text and len(named) < len(self.options.letters)):
            yield found[-1]

    def declarations(self) -> Iterator[_Reference]:
        for noun, needs_verb in ((STRONG_NOUN, False), (_WEAK_NOUN, True)):
            for found in self.after_nouns(noun, VERB, needs_verb=needs_verb):
                yield found[0]
        for cue, chosen in self.after_cues(CHOOSE):
            if not self.negated_before(cue.start()):
                yield chosen
        yield from (mention for mention in self.mentions() if _IS_CORRECT.match(self.text, mention.end))
        yield from self.line_declarations()

    def head(self) -> str | None:
        """The letter of "B. ..." or "(B) ..." at the start of the text, if no other line starts so."""
        match = self.options.head.match(self.text)
        if match is None or _HEAD_GOES_ON.match(self.text, match.end()):
            return None
        if len({start.upper() for start in self.options.line_start.findall(self.text)}) > 1:
            return None
        found = self.at(0)
        return (found.letter or INVALID) if found else match[1].upper()


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where a match at `position` ends, `position` without one."""
    match = pattern.match(text, position)
    return match.end() if match else position


def extract_choice(text: str, options: Sequence[str], letters: Sequence[str] = ("A", "B", "C", "D")) -> str:
    """The letter that `text` chooses among `letters`, or `"invalid"`.

    `options[i]` is the text of the option `letters[i]`; both have the same length, letters are single capitals.
    """
    text = normalise(text)
    if not text:
        return INVALID
    reader = _Reader(text, _options(tuple(options), tuple(letters)))
    whole = reader.at(0)
    if whole and not text[whole.end :].strip(" .,;:!)]}"):
        return whole.letter or INVALID
    declared = sorted(reader.declarations(), key=lambda reference: (reference.start, reference.end))
    if declared:
        return declared[-1].letter or INVALID
    head = reader.head()
    if head is not None:
        return head
    if REFUSAL.search(text):
        return INVALID
    mentioned = {mention.letter for mention in reader.mentions()}
    if len(mentioned) == 1:
        return mentioned.pop() or INVALID
    weak = [found for _, found in reader.after_cues(_WEAK_CUE, max(0, len(text) - _CLOSING_CHARACTERS))]
    return (weak[-1].letter or INVALID) if weak and not text[weak[-1].end :].strip(" .!") else INVALID
