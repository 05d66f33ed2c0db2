"""The reader of yes/no answers.

Only an answer counts, not what a statement implies: "There is no dog" has a "no" that belongs to "dog", and whether it
means yes or no depends on the question. Evidence, the first kind that is there:

1. declarations ("the answer is yes", "\\boxed{No}", "I'd say no", a sentence or line that is nothing but "No"): the
   last one wins. Bare lines or sentences with different answers next to each other are an echo of the question.
2. the start of a sentence ("Yes, there is ...", "No: ..."), if all that start so agree.
3. mentions: "yes" or an exclaimed "no", if only one of the two is named, without negation or refusal.

"Yes or no" and "yes and no" are read as nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vsc_eval.extract.text import CHOOSE, INVALID, REFUSAL, STRONG_NOUN, VERB, Reader, normalise

_MEANINGS = {
    **dict.fromkeys(("yes", "yeah", "yep", "yup", "true"), "yes"),
    **dict.fromkeys(("no", "nope", "nah", "false"), "no"),
}
_ABBREVIATIONS = {"y": "yes", "n": "no"}
_OR = r"\W{0,3}(?:\s*(?:or|and|and/or|/|\|)\s*)\W{0,3}"
_EITHER = re.compile(
    rf"(?P<both>\b(?:either )?(?:(?:yes|true){_OR}(?:no|false)|(?:no|false){_OR}(?:yes|true))\b)"
    rf"|(?<![\w'-])(?:{'|'.join(_MEANINGS)})(?![\w'-])",
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
    statement: bool = False
    """ "True" and "false" say more often what a statement is than what the answer is."""


def _said(text: str) -> Iterator[_Said]:
    """The answer words of a text, by place."""
    for match in _EITHER.finditer(text):
        word = match.group().lower()
        if match["both"]:
            yield _Said(None, match.start(), match.end())
        elif word not in ("no", "true", "false") or _EXCLAIMED.match(text, match.end()):
            yield _Said(_MEANINGS[word], match.start(), match.end(), word in ("true", "false"))


class _Reader(Reader[_Said]):
    """The answer words of a text, and which of them answer."""

    filler, most_fillers = _FILLER, 8

    def declarations(self) -> Iterator[_Said]:
        for found in self.after_nouns(STRONG_NOUN, VERB):
            # "Answer yes or no: yes" declares what comes after the echo.
            yield next((said for said in found if said.meaning), found[0])
        for cue, said in self.after_cues(_SAY):
            if not self.negated_before(cue.start()):
                yield said
        yield from self._bare()

    def heads(self) -> Iterator[_Said]:
        """The answers that sentences start with."""
        for sentence in _BARE.finditer(self.text):
            lead = _HEAD.match(self.text, sentence.start(), sentence.end())
            said = self.after(lead.end() if lead else sentence.start())
            if said is not None and said.meaning and not said.statement:
                yield said

    def _bare(self) -> Iterator[_Said]:
        """Sentences and lines that are nothing but an answer; none where neighbours among them contradict."""
        found: list[tuple[int, _Said]] = []
        for number, sentence in enumerate(_BARE.finditer(self.text)):
            inner = sentence.group().strip(" ,;:()[]{}-")
            said = self.at(sentence.start() + sentence.group().find(inner)) if inner else None
            if said is not None and said.meaning and said.end - said.start == len(inner):
                found.append((number, said))
        if found:
            last_number, last = found[-1]
            neighbours = {said.meaning for number, said in found if number >= last_number - 1}
            later = {said.meaning for said in self.heads() if said.start > last.start}
            if neighbours | later == {last.meaning}:
                yield last

    def mentions(self) -> Iterator[_Said]:
        """Words that are no statement and not taken back: "not yes", "yes is wrong". What follows "no" is often its
        reason: "no, there is not" is no double negation."""
        for said in self.all:
            taken_back = self.negated_before(said.start) or _IS_WRONG.match(self.text, said.end)
            if said.meaning and not said.statement and not taken_back:
                yield said

    def contradict(self, meanings: set[str | None]) -> bool:
        """Whether another answer ends a clause: "Yes, no." contradicts itself, "Yes, no dog is there" does not."""
        others = [said for said in self.all if said.meaning and said.meaning not in meanings]
        return any(not self.text[said.end : said.end + 1].strip(" .,;!?\n") for said in others)


def extract_yes_no(text: str) -> str:
    """`"yes"`, `"no"` or `"invalid"`."""
    text = normalise(text)
    whole = _ABBREVIATIONS.get(text.strip(" .,;:!()[]").lower())
    if whole is not None:
        return whole
    reader = _Reader(text, _said(text))
    declared = sorted(reader.declarations(), key=lambda said: said.start)
    if declared:
        return declared[-1].meaning or INVALID
    meanings = {said.meaning for said in reader.heads()}
    if reader.contradict(meanings) if meanings else REFUSAL.search(text):
        return INVALID
    meanings = meanings or {said.meaning for said in reader.mentions()}
    return (meanings.pop() if len(meanings) == 1 else None) or INVALID
