"""The reader of numeric answers: text -> a canonical decimal number or `invalid`.

Evidence, the first kind that is there:

1. declarations ("the answer is 12", "\\boxed{12}", "3 + 9 = 12", "I'd say 12", a line that is nothing but a number and
   its unit): the last one wins;
2. the only number of the text, or several of the same value;
3. the start ("12, because there are 3 rows of 4"), unless the text is a numbered list;
4. a quantity that is stated once ("the total is 12", "In 2010 the value was 12");
5. a conclusion in the last sentence ("... so there are 12").

An alternative, a range or a bound ("5 or 6", "5-6", "more than 5") and a refusal are `invalid`. How a number is
written, and which comma means what, is in `numerals`.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from vsc_eval.extract.numerals import Number, canonical, numbers, western
from vsc_eval.extract.text import CHOOSE, INVALID, REFUSAL, SENTENCE_END, Reader, fold, squeeze, unquoted, unwrap

_NOUN = re.compile(r"\b(?:answer|solution|result)s?\b", re.I)
_QUANTITY = re.compile(
    r"\b(?:total|sum|difference|average|mean|median|ratio|value|count|number|amount|price|percentage|share|rate)\b",
    re.I,
)
_VERB = re.compile(r"(?:\b(?:is|are|was|were|be|equals|becomes)\b|:|=>|->|=|→|≈)", re.I)
_EQUALS = re.compile(r"(?:=|≈|\bequals\b|\bequal to\b|\bcomes to\b|\badds up to\b)", re.I)
_SAY = re.compile(rf"{CHOOSE.pattern}|\b(?:i(?:'d| would)? (?:say|answer|estimate)|i think|i believe)\b", re.I)
_FILLER = re.compile(
    r"\s*(?:the|an?|number|value|answer|option|therefore|thus|exactly|about|around|approximately|approx\.?|roughly|nearly"
    r"|almost|circa|total|of|that|it|is|it's|there|are|be|would|should|simply|just|correct|final|,|:|=|≈|~|→|\()?\s*",
    re.I,
)
# A number right beside another ("two dozen", "three point five", "5, 6", "3 + 4") is not read either.
_JOIN = re.compile(r"\s*(?:,?\s*\b(?:or|and/or|and|to|through|point|x|times)\b|[,/|~±+*×·–—-]|\+/-)?\s*", re.I)
_BOUND_BEFORE = re.compile(
    r"(?:\b(?:(?:more|less|fewer|greater|higher|lower|larger|smaller) than|over|under|above|below"
    r"|at least|at most|up to|minimum of|maximum of)|(?<![-=])[<>]|[≤≥])\W*$",
    re.I,
)
_BOUND_AFTER = re.compile(r"\+(?!\s*\d)|\s+or (?:more|less|fewer|above|over|below|under|higher|lower)\b", re.I)
_BETWEEN = re.compile(r"\b(?:between|from)\s+\W*$", re.I)
_AFTER_HEAD = re.compile(r"\s*(?:[.;:!(—–]|,(?!\s*[\d.])|\n|-\s)|\s+(?:because|since|as|due)\b", re.I)
_LIST_MARK = re.compile(r"(?m)^ ?(\d{1,2})[.)] ")
_CONCLUDES = re.compile(
    r"\b(?:so|therefore|thus|hence|total|altogether|in all|overall|in sum|finally|which (?:gives|makes)|that makes)\b",
    re.I,
)
_UNIT = re.compile(r"[A-Za-z°²³%$€£¥₹/ .,;:!)\]^-]{0,24}")
_WORDY = re.compile(r"[A-Za-z]+")


def extract_number(text: str) -> str:
    """The number as a decimal string ("12.5", "-3"), or `"invalid"`."""
    text = _clean(text)
    if re.fullmatch(r"none\W*", text, re.I):
        return "0"
    reader = _Reader(text)
    if len(reader.all) == 1 and reader.all[0].start == 0 and not text[reader.all[0].end :].strip(" .!"):
        # The whole text is a number, "half" and "one" too.
        return _written(reader.all[0].value)
    declared = sorted(reader.declarations(), key=lambda number: number.start)
    if declared:
        return _written(reader.canonical(declared[-1]))
    if REFUSAL.search(text):
        return INVALID
    said = reader.amounts()
    values = {number.value for number in said}
    if len(values) == 1:
        return _written(None if any(reader.canonical(number) is None for number in said) else said[0].value)
    for evidence in (reader.head, reader.quantity, reader.conclusion):
        value = evidence()
        if value is not None:
            return canonical(value)
    return INVALID


def _clean(text: str) -> str:
    text = re.sub(r"\\d?frac\{(\d{1,9})\}\{(\d{1,9})\}", r" \1/\2", text)
    text = re.sub(r"\\([%$#])", r"\1", text)
    text = re.sub(r"\\(?:times|cdot)\b", "×", text).replace("\\approx", "≈").replace("\\,", "").replace("{,}", ",")
    text = fold(western(text))
    return squeeze(unquoted(re.sub(r"\*\*|[`_#\\]|(?<=\d)\$", " ", unwrap(text))))


def _written(value: Decimal | None) -> str:
    return INVALID if value is None else canonical(value)


class _Reader(Reader[Number]):
    """The numbers of one text, and which of them answer."""

    filler, most_fillers = _FILLER, 12

    def __init__(self, text: str) -> None:
        marks = {mark.start(1) for mark in _LIST_MARK.finditer(text)}
        self.is_list = len(marks) > 1
        super().__init__(text, [n for n in numbers(text) if not (self.is_list and n.start in marks)])

    def amounts(self) -> list[Number]:
        """Numbers that are said and not taken back; "one" only where it counts something."""
        return [n for n in self.all if not n.pronoun and not self.negated(n.start, n.end)]

    def canonical(self, number: Number) -> Decimal | None:
        """The number's value, None if it is a bound, one end of a range, an alternative or a part of a sum."""
        join = _JOIN.match(self.text, number.end)
        if (join and join.end() in self._at) or _BOUND_AFTER.match(self.text, number.end):
            return None
        for pattern in (_BETWEEN, _BOUND_BEFORE):
            if pattern.search(self.text, max(0, number.start - 20), number.start):
                return None
        return number.value

    def declarations(self) -> Iterator[Number]:
        for found in self.after_nouns(_NOUN, _VERB):
            yield found[0]
        for _, number in self.after_cues(_EQUALS):
            # In "7 = 3 + 4" the left side is the result.
            if self.canonical(number) is not None:
                yield number
        for cue, number in self.after_cues(_SAY):
            if not self.negated(cue.start(), cue.end()):
                yield number
        yield from self._last_bare_line()

    def quantity(self) -> Decimal | None:
        """What "the total is", "the value is" and the like give, if all give the same."""
        values = {self.canonical(found[0]) for found in self.after_nouns(_QUANTITY, _VERB)}
        return values.pop() if len(values) == 1 else None

    def _last_bare_line(self) -> Iterator[Number]:
        """The last line that holds nothing but a number and a unit, if the text has other lines with it."""
        bare = []
        for line in re.finditer(r"[^\n]+", self.text):
            lead = _FILLER.match(self.text, line.start())
            number = self._at.get(lead.end() if lead else line.start()) or self._at.get(line.start())
            if number is not None and number.end <= line.end():
                unit = _UNIT.fullmatch(self.text, number.end, line.end())
                if unit and len(_WORDY.findall(unit[0])) <= 2:
                    bare.append(number)
        closes = bool(bare) and not self.text[bare[-1].end :].strip().count("\n")
        if bare and (len({number.value for number in bare}) == 1 or closes) and "\n" in self.text:
            adjacent = bare[-2:] if len(bare) > 1 else bare
            between = self.text[adjacent[0].end : adjacent[-1].start]
            if len({number.value for number in adjacent}) == 1 or between.count("\n") > 1:
                yield bare[-1]

    def head(self) -> Decimal | None:
        """The number that the text starts with, where a stop or a reason follows."""
        number = self._at.get(0)
        if number is None or self.is_list or not _AFTER_HEAD.match(self.text, number.end):
            return None
        return self.canonical(number)

    def conclusion(self) -> Decimal | None:
        """The one number after the last "so" or "in total" of the last sentence."""
        tail = self.text.rstrip(" .!\n")
        ends = [end.end() for end in SENTENCE_END.finditer(tail)]
        start = ends[-1] if ends else 0
        cues = [cue.end() for cue in _CONCLUDES.finditer(self.text, start)]
        said = [number for number in self.amounts() if number.start >= (cues[-1] if cues else len(self.text))]
        values = {number.value for number in said}
        return self.canonical(said[0]) if len(values) == 1 else None
