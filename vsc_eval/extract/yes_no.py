"""The reader of yes/no answers.

Only an answer counts, not what a statement implies: "There is no dog" has a "no" that belongs to "dog", and whether it
means yes or no depends on the question. Evidence, the first kind that is there:

1. declarations ("the answer is yes", "\\boxed{No}", "I'd say no", a sentence or line that is nothing but "No"): the
   last one wins. Bare lines or sentences with different answers next to each other are an echo of the question.
2. the start of a sentence ("Yes, there is ...", "No: ..."), if all that start so agree.
3. mentions: "yes" or an exclaimed "no", if only one of the two is named, without negation or refusal.

"Yes or no" and "yes and no" are read as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vsc_eval.extract.text import (
    CHOOSE,
    INVALID,
    REFUSAL,
    STRONG_NOUN,
    VERB,
    Reader,
    negated_before,
    normalise,
)

_MEANINGS = {
    **dict.fromkeys(("yes", "yeah", "yep", "yup", "true"), "yes"),
    **dict.fromkeys(("no", "nope", "nah", "false"), "no"),
}
_ABBREVIATIONS = {"y": "yes", "n": "no"}
_WORD = re.compile(rf"(?<![\w'-])(?:{'|'.join(_MEANINGS)})(?![\w'-])", re.I)
_BOTH = re.compile(
    r"\b(?:either )?(?:yes|true)\W{0,3}(?:\s*(?:or|and|and/or|/|\|)\s*)\W{0,3}(?:no|false)\b"
    r"|\b(?:either )?(?:no|false)\W{0,3}(?:\s*(?:or|and|and/or|/|\|)\s*)\W{0,3}(?:yes|true)\b",
    re.I,
)
# "No dogs", "no one", "No. 5": a determiner or a numeral sign. "No it is not", "no because", "no." are answers.
_EXCLAIMED = re.compile(
    r"\s*(?:$|[,;:!?)\]}—–\n]|\.(?!\s*\d)|-)"
    r"|\s+(?:because|since|as|it|there|this|that|these|those|they|he|she|i|we|you|the|not|is|as far as)\b",
    re.I,
)
_FILLER = re.compile(
    r"\s*(?:definitely|clearly|probably|simply|just|a|an?|clear|that|an?|therefore|,|:|=|-+>?|>|–|—|→)?\s*", re.I
)
_SAY = re.compile(rf"{CHOOSE.pattern}|\b(?:i(?:'d| would)? say|i think|i believe|i answer)\b", re.I)
_IS_WRONG = re.compile(r"\s*(?:is|was|would be|seems)(?:n't| not| wrong| incorrect)\b", re.I)
_HEAD = re.compile(r"\W*(?:(?:well|so|hmm|ok|okay|sure|in short)\b\W*){0,2}", re.I)
_BARE = re.compile(r"[^.!?\n]+")


@dataclass(frozen=True)
class _Said:
    """A place where an answer word stands. `meaning` is None for "yes or no"."""

    meaning: str | None
    start: int
    end: int


class _Reader(Reader[_Said]):
    """The answer words of a text, by where they start."""

    filler, most_fillers = _FILLER, 8

    def __init__(self, text: str) -> None:
        super().__init__(text)
        both = [_Said(None, m.start(), m.end()) for m in _BOTH.finditer(text)]
        inside = {position for said in both for position in range(said.start, said.end)}
        single = [
            _Said(_MEANINGS[m.group().lower()], m.start(), m.end())
            for m in _WORD.finditer(text)
            if m.start() not in inside and self._is_answer(m)
        ]
        self.all = sorted([*both, *single], key=lambda said: said.start)
        self._at = {said.start: said for said in self.all}

    def _is_answer(self, match: re.Match[str]) -> bool:
        word = match.group().lower()
        return word not in ("no", "true", "false") or _EXCLAIMED.match(self.text, match.end()) is not None

    def at(self, position: int) -> _Said | None:
        return self._at.get(position)


def extract_yes_no(text: str) -> str:
    """`"yes"`, `"no"` or `"invalid"`."""
    text = normalise(text)
    whole = _ABBREVIATIONS.get(text.strip(" .,;:!()[]").lower())
    if whole is not None:
        return whole
    words = _Reader(text)
    declared = sorted(_declarations(words), key=lambda said: said.start)
    if declared:
        return declared[-1].meaning or INVALID
    heads = {said.meaning for said in _heads(words)}
    if heads:
        contradicted = any(said.meaning not in heads for said in words.all if said.meaning and _ends_clause(text, said))
        return INVALID if contradicted else _only(heads)
    if REFUSAL.search(text):
        return INVALID
    return _only(
        {
            said.meaning
            for said in words.all
            if said.meaning and not _is_statement(text, said) and not _taken_back(text, said)
        }
    )


def _only(meanings: set[str | None]) -> str:
    only = next(iter(meanings)) if len(meanings) == 1 else None
    return only or INVALID


def _is_statement(text: str, said: _Said) -> bool:
    """ "True" and "false" say more often what a statement is than what the answer is."""
    return text[said.start : said.end].lower() in ("true", "false")


def _taken_back(text: str, said: _Said) -> bool:
    """ "Not yes", "yes is wrong". What follows "no" is often its reason: "no, there is not" is no double negation."""
    return negated_before(text, said.start) or _IS_WRONG.match(text, said.end) is not None


def _heads(words: _Reader) -> Iterator[_Said]:
    """The answers that sentences start with."""
    for sentence in _BARE.finditer(words.text):
        lead = _HEAD.match(words.text, sentence.start(), sentence.end())
        said = words.after(lead.end() if lead else sentence.start())
        if said is not None and said.meaning and not _is_statement(words.text, said):
            yield said


def _ends_clause(text: str, said: _Said) -> bool:
    """Whether the word ends its clause: "Yes, no." contradicts itself, "Yes, no dog is there" does not."""
    return not text[said.end : said.end + 1].strip(" .,;!?\n")


def _declarations(words: _Reader) -> Iterator[_Said]:
    for found in words.after_nouns(STRONG_NOUN, VERB):
        # "Answer yes or no: yes" declares what comes after the echo.
        yield next((said for said in found if said.meaning), found[0])
    for cue, said in words.after_cues(_SAY):
        if not negated_before(words.text, cue.start()):
            yield said
    yield from _bare(words)


def _bare(words: _Reader) -> Iterator[_Said]:
    """Sentences and lines that are nothing but an answer; none where neighbours among them contradict each other."""
    starts = {said.start: said for said in words.all}
    found: list[tuple[int, _Said]] = []
    for number, sentence in enumerate(_BARE.finditer(words.text)):
        inner = sentence.group().strip(" ,;:()[]{}-")
        said = starts.get(sentence.start() + sentence.group().find(inner)) if inner else None
        if said is not None and said.meaning and said.end - said.start == len(inner):
            found.append((number, said))
    if found:
        last_number, last = found[-1]
        neighbours = {said.meaning for number, said in found if number >= last_number - 1}
        later = {said.meaning for said in _heads(words) if said.start > last.start}
        if neighbours | later == {last.meaning}:
            yield last
