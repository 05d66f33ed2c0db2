"""How numbers are written: every number in a text, with its value and place.

The comma rules, which no locale is asked about:

- groups of three after one to three digits are thousands: `1,200` is 1200, `1,200.50` is 1200.5; `12,34,567` likewise;
- any other single comma is a decimal comma: `12,5`, `0,125`, `1234,5`;
- a single dot is a decimal dot: `1.200` is 1.2; dots are thousands where there are several or a comma follows:
  `1.200.000`, `1.200,50`;
- a blank or an apostrophe between groups of three is a thousands mark: `1 200`, `1'200`.

A percent sign, a currency and a unit are left out of the value ("5%" is 5); `thousand` to `trillion` and an attached
`k`, `K`, `M`, `B`, `bn`, `mn` scale it. Digits of every script count, and numbers in English words. What looks like a
number and has no single value (a date, a time, a range, `1,2,3`) is found with the value None, so that nothing takes
its parts for the answer.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal

_EXACT = Context(prec=60)
_DIVIDED = Context(prec=15)
_LONGEST = 40
_LARGEST_EXPONENT = 30

TEENS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_UNITS = {word: value for value, word in enumerate(TEENS)}
_TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SUFFIXES = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "B": 10**9, "bn": 10**9}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_ALONE = {"half": Decimal("0.5"), "dozen": Decimal(12)}

_INSIDE = (
    r"\d",
    r"[.,':/–-](?=\d)",
    r"(?<=\d)[eE](?=[+-]?\d)",
    r"(?<=\d[eE])[+-](?=\d)",
    r"(?<!\d{4}) (?=\d{3}(?!\d))",
    r" (?=\d{1,3}/\d{1,3}(?![\d/]))",
)
_TOKEN = re.compile(
    r"(?<![\w^.,/'])(?<!\w-)(?P<sign>[+-](?=[$€£¥₹.\d]))?(?:(?:US)?[$€£¥₹]{1,2} ?)?(?P<minus>-(?=\d))?"
    rf"(?P<body>\.?\d(?:{'|'.join(_INSIDE)})*)"
)
_POWER = re.compile(r" ?[x×*·] ?10 ?\^ ?\{?([+-]?\d{1,3})\}?")
_SCALE_WORD = re.compile(r" ?((?i:hundred|thousand|million|billion|trillion))s?\b|(k|K|M|B|bn|mn)\b")
_PERCENT = re.compile(r" ?(?:%|percent\b|per cent\b|pct\b)", re.I)
# "2nd", "3D", "the 1990s" and "0x1F" are no amounts.
_NO_NUMBER = re.compile(r"(?:st|nd|rd|th|d|D)\b|(?<=\d{4})s\b|x[\dA-Fa-f]")
_NUMBER_WORD = rf"(?:{'|'.join([*_UNITS, *_TENS, *_SCALES])})"
_WORDS = re.compile(
    rf"\b(?P<sign>minus |negative )?(?P<body>(?:an? (?=hundred|thousand|million))?{_NUMBER_WORD}"
    rf"(?:(?: ?- ?| | and )(?={_NUMBER_WORD}\b){_NUMBER_WORD})*|(?:an? )?(?:half|dozen)|an? (?=quarter|third))\b"
    rf"(?:[ -]?(?P<part>{'|'.join(_PARTS)})s?\b)?",
    re.I,
)
_MINUS_WORD = re.compile(r"\b(?:minus|negative) $", re.I)
# "the one on the left", "no one", "one of them", "the left half": words that are no amounts.
_PRONOUN_BEFORE = re.compile(r"\b(?:the|this|that|which|no|each|every|any|another|other|last|only|some)\s$", re.I)
_PRONOUN_AFTER = re.compile(r"\s(?:of|can|could|must|should|might|may|would|is|was|on|in|at|by|with|who|that)\b", re.I)

_PLAIN = re.compile(r"\d+|\d*\.\d+")
_SCIENTIFIC = re.compile(r"(\d+|\d*\.\d+)[eE]([+-]?\d{1,3})")
_GROUPED = re.compile(r"(?:[1-9]\d{0,2}([, '])\d{3}(?:\1\d{3})*|[1-9]\d?(?:,\d{2})+,\d{3})(?:\.\d+)?")
_DOT_GROUPED = re.compile(r"[1-9]\d{0,2}(?:(?:\.\d{3}){2,}|(?:[. ]\d{3})+(?=,))(?:,\d+)?")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_FRACTION = re.compile(r"(?:(\d+) )?(\d+)/(\d+)")


@dataclass(frozen=True)
class Number:
    """A number at a place of the text. `value` is None for what has no single value."""

    value: Decimal | None
    start: int
    end: int
    """After the number's percent sign and scale, before its unit."""
    percent: bool = False
    pronoun: bool = False
    """For "one" and "half": whether it rather stands for a thing."""


def western(text: str) -> str:
    """The digits, separators and signs of all scripts as ASCII; raised digits as `^3`, fractions as `1/2`.

    To be called before NFKC, which would turn `10³` into 103 and `2½` into 21/2.
    """
    if text.isascii():
        return text
    return "".join(_western(character, before) for before, character in zip(" " + text, text, strict=False))


_SIGNS = {**dict(zip("٫٬٪−﹣－⁄∕’＋", ".,%---//'+", strict=True)), "⁻": "^-"}


def _western(character: str, before: str) -> str:
    if character.isascii():
        return character
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    form = unicodedata.decomposition(character)
    if form.startswith("<fraction>"):
        parts = unicodedata.normalize("NFKC", character).replace("⁄", "/")
        return f" {parts}" if before.isdecimal() else parts
    if form.startswith("<super>") and character.isdigit():
        raised = str(unicodedata.digit(character))
        return raised if before in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹" else f"^{raised}"
    return character


def canonical(value: Decimal) -> str:
    """A decimal number without exponent, plus sign, trailing or leading zeros: `-3`, `0.5`, `1200`."""
    if value == 0:
        return "0"
    return format(value.normalize(_EXACT), "f")


def numbers(text: str) -> list[Number]:
    """Every number of a text that `western` and NFKC have gone over, by place."""
    found: list[Number] = []
    for number in sorted([*_digits(text), *_words(text)], key=lambda number: number.start):
        # "1.2 million": the word belongs to the digits.
        if not found or number.start >= found[-1].end:
            found.append(number)
    return found


def _digits(text: str) -> Iterator[Number]:
    done = 0
    for match in _TOKEN.finditer(text):
        if match.start() < done or _NO_NUMBER.match(text, match.end()):
            continue
        value, end = _value(match["body"]), match.end()
        if power := _POWER.match(text, end):
            value, end = _scaled(value, Decimal(10) ** int(power[1])), power.end()
        elif text.startswith("^", end):
            value = None
        if scale := _SCALE_WORD.match(text, end):
            factor = _SCALES[scale[1].lower()] if scale[1] else _SUFFIXES[scale[2]]
            value, end = _scaled(value, factor), scale.end()
        done = end
        start, negative = match.start(), match["sign"] == "-" or match["minus"] is not None
        if said := _MINUS_WORD.search(text, max(0, start - 10), start):
            start, negative = said.start(), True
        yield _number(text, value, negative, start, end)


def _number(text: str, value: Decimal | None, negative: bool, start: int, end: int, *, pronoun: bool = False) -> Number:
    """The number with its sign and the percent sign that follows it; no value that is too long to be read again."""
    if value is not None and len(canonical(value)) > _LONGEST:
        value = None
    if value is not None and negative:
        value = _EXACT.minus(value)
    percent = _PERCENT.match(text, end)
    return Number(value, start, percent.end() if percent else end, percent is not None, pronoun)


def _scaled(value: Decimal | None, factor: Decimal | int) -> Decimal | None:
    if value is None:
        return None
    scaled = _EXACT.multiply(value, factor)
    return scaled if scaled == 0 or abs(scaled.adjusted()) <= _LARGEST_EXPONENT else None


def _value(body: str) -> Decimal | None:
    """The value of digits and separators, None if they have no single one."""
    if len(body) > _LONGEST:
        return None
    if _PLAIN.fullmatch(body):
        return Decimal(body)
    if scientific := _SCIENTIFIC.fullmatch(body):
        return _scaled(Decimal(scientific[1]), Decimal(10) ** int(scientific[2]))
    if fraction := _FRACTION.fullmatch(body):
        whole, above, below = (Decimal(part or 0) for part in fraction.groups())
        return None if below == 0 else _EXACT.add(whole, _DIVIDED.divide(above, below))
    if _GROUPED.fullmatch(body):
        return Decimal(re.sub(r"[, ']", "", body))
    if _DOT_GROUPED.fullmatch(body) or _DECIMAL_COMMA.fullmatch(body):
        return Decimal(re.sub(r"[. ]", "", body).replace(",", "."))
    return None


def _words(text: str) -> Iterator[Number]:
    for match in _WORDS.finditer(text):
        body = match["body"].lower()
        counted = re.sub(r" ?- ?| and ", " ", re.sub(r"^an? ?", "", body)).split()
        value = _spoken(counted) if counted else Decimal(1)
        if match["part"] and value is not None:
            value = _DIVIDED.divide(value, Decimal(_PARTS[match["part"].lower()]))
        pronoun = body.endswith("half")
        if body == "one" and not match["part"]:
            before = _PRONOUN_BEFORE.search(text, max(0, match.start() - 10), match.start())
            pronoun = before is not None or _PRONOUN_AFTER.match(text, match.end()) is not None
        yield _number(text, value, match["sign"] is not None, match.start(), match.end(), pronoun=pronoun)


def _spoken(words: list[str]) -> Decimal | None:
    """The value of English number words, None where they are no number: "two three", "twenty eleven"."""
    if len(words) == 1 and words[0] in _ALONE:
        return _ALONE[words[0]]
    if len(words) > _LONGEST:
        return None
    total = group = 0
    room, last_scale = 10**3, 10**15
    for word in words:
        if word == "hundred":
            if group > 9 or room == 100:
                return None
            group, room = max(group, 1) * 100, 100
        elif word in _SCALES:
            if _SCALES[word] >= last_scale or (group == 0 and total > 0):
                return None
            total, group, room, last_scale = total + max(group, 1) * _SCALES[word], 0, 10**3, _SCALES[word]
        else:
            value = _UNITS.get(word, _TENS.get(word, 0))
            size = 100 if value >= 10 else 10
            # A tens word leaves room for a unit from one to nine, anything else for nothing.
            if size > room or (value == 0 and len(words) > 1):
                return None
            group, room = group + value, 10 if word in _TENS else 1
    return Decimal(total + group)
