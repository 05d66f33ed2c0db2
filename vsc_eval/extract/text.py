"""What every kind of answer needs from a text: one spelling of it, and the words that take a statement back.

Everything here and in the readers takes time linear in the length of the text: a model that repeats itself until it
is cut off must not hold up a run. So runs of blanks are folded before anything scans them, and a reader looks back or
ahead by a bounded number of characters.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar


class Place(Protocol):
    @property
    def start(self) -> int: ...


T = TypeVar("T", bound=Place)

INVALID = "invalid"

NEGATED_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|cannot be|except|excluding|rather than|instead of)|n't(?: be)?)"
    r"(?:\s+(?:option|choice|letter|statement|answer|the|an?|in|at|to))*\W*$",
    re.I,
)
NEGATED_AFTER = re.compile(
    r"\W*(?:\w+\s+)?(?:is|are|was|seems|looks|can|could|does|do|must)\s*(?:n't|not)\b"
    r"|\W*(?:\w+\s+)?(?:is|are|was|seems|looks)\s+(?:\w+ly\s+)?(?:wrong|incorrect|false|out|excluded|eliminated|impossible)\b",
    re.I,
)
REFUSAL = re.compile(
    r"\b(?:can(?:'t|not| not) (?:tell|say|determine|decide|answer|see|be)|unable to|not sure|unsure|unclear|uncertain"
    r"|impossible to|don't know|do not know|no idea|unknown|none of)\b",
    re.I,
)
SENTENCE_END = re.compile(r"[.!?\n](?:\s|$)|\n")
STRONG_NOUN = re.compile(r"\b(?:answer|solution)s?\b", re.I)
CHOOSE = re.compile(
    r"\b(?:choos(?:e|ing)|pick(?:ing)?|select(?:ing)?|go(?:ing)? (?:with|for)|guess|vote for|opt for|conclude)\b", re.I
)
VERB = re.compile(r"(?:is|are|was|be|seems|appears|equals|:|=|->|=>|→|—|–|-)", re.I)

BEHIND = 100
"""Characters that a reader looks back for a negation."""
AHEAD = 120
"""Characters between "answer" and what it is."""

_MARKS_IN_A_ROW = 30
_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "«": '"', "»": '"'})


class Reader(Generic[T]):
    """Finds in a text what answers, among `found`: each kind says what that is and which words are skipped."""

    filler: ClassVar[re.Pattern[str]]
    most_fillers: ClassVar[int]

    def __init__(self, text: str, found: Iterable[T] = ()) -> None:
        self.text = text
        self.all = list(found)
        self._at = {one.start: one for one in self.all}

    def negated_before(self, start: int) -> bool:
        return NEGATED_BEFORE.search(self.text, max(0, start - BEHIND), start) is not None

    def negated(self, start: int, end: int) -> bool:
        """Whether what stands at `start` to `end` is taken back by the words before or after it."""
        return self.negated_before(start) or NEGATED_AFTER.match(self.text, end, end + BEHIND) is not None

    def at(self, position: int) -> T | None:
        """What stands at a place."""
        return self._at.get(position)

    def after(self, position: int) -> T | None:
        """What follows a place, filler words skipped one by one."""
        for _ in range(self.most_fillers):
            found = self.at(position)
            word = self.filler.match(self.text, position)
            if found is not None or word is None or word.end() == position:
                return found
            position = word.end()
        return None

    def after_nouns(
        self, nouns: re.Pattern[str], verbs: re.Pattern[str], *, needs_verb: bool = False
    ) -> Iterator[list[T]]:
        """ "the answer (to ...) is X", "answer: X", "answer X": for each noun what is found behind it and behind each
        verb of its sentence. `needs_verb`: behind the noun itself only where a colon or no verb follows it."""
        for cue in nouns.finditer(self.text):
            stop = SENTENCE_END.search(self.text, cue.end(), cue.end() + AHEAD)
            limit = stop.start() if stop else cue.end() + AHEAD
            places = [verb.end() for verb in verbs.finditer(self.text, cue.end(), limit)]
            if not (needs_verb and places) or self.text.startswith(":", cue.end()):
                places.insert(0, cue.end())
            found = [one for place in places if (one := self.after(place)) is not None]
            if found:
                yield found

    def after_cues(self, cues: re.Pattern[str], start: int = 0) -> Iterator[tuple[re.Match[str], T]]:
        """What follows each cue that stands at `start` or later, with the cue."""
        for cue in cues.finditer(self.text, start):
            found = self.after(cue.end())
            if found is not None:
                yield cue, found


def fold(text: str) -> str:
    """NFKC with typewriter quotes. Marks beyond 30 in a row are dropped: ordering them takes time quadratic in their
    number."""
    if text.isascii():
        return text
    kept, run = [], 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MARKS_IN_A_ROW:
            kept.append(character)
    return unicodedata.normalize("NFKC", "".join(kept)).translate(_QUOTES)


def unwrap(text: str) -> str:
    """Without reasoning, and with the contents of answer tags, boxes and LaTeX text in plain words.

    Reasoning that was cut off before it closed holds no answer.
    """
    text = squeeze(text)
    if "</think>" in text:
        text = text.rsplit("</think>", 1)[1]
    text = text.split("<think>", 1)[0]
    text = re.sub(
        r"<answer> ?((?:[^<]|<(?!/?answer>))*)(?:</answer>|$|(?=<answer>))", r"\nanswer: \1\n", text, flags=re.I
    )
    text = re.sub(r"\\boxed\{(?:\\(?:text|mathrm|mathbf)\{)?([^{}]*)\}?\}", r" answer: \1 ", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}", r"\1", text)
    return re.sub(r"<\|[^|>]*\|>|</?[a-z]+/?>", " ", text)


def squeeze(text: str) -> str:
    """Each run of blanks as one blank, each run of line ends as one line end."""
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text.replace("\r\n", "\n").replace("\r", "\n"))).strip()


def unquoted(text: str) -> str:
    """Without quotes around words; an apostrophe inside a word stays."""
    return re.sub(r"(?<!\w)'([^'\n]{1,80})'(?!\w)", r"\1", text.replace('"', " "))


def normalise(text: str) -> str:
    """One spelling for what models vary: unicode forms, markdown, LaTeX, quotes, reasoning and answer tags."""
    return squeeze(unquoted(re.sub(r"[*_`$#\\]", " ", unwrap(fold(text)))))
