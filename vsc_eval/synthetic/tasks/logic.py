"""Which statement is true? Statements are built over a few facts, each of which one object makes true or false.

A world is one assignment of the facts. Statements are drawn one after the other so that each is the only true one in
some world. Where two or three facts are joined, at least one statement holds an `or`: left to chance, nearly all would
be `and`, since a statement that is true in few worlds is more easily the only true one. Of the worlds that fit, those
that change few objects are taken.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vsc_eval.synthetic import program
from vsc_eval.synthetic.difficulty import Difficulty
from vsc_eval.synthetic.layout import CrowdedError, place
from vsc_eval.synthetic.phrasing import plural
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.reading import COLOUR, SHAPE, matching, unclear
from vsc_eval.synthetic.scene import COLOURS, SHAPES
from vsc_eval.synthetic.seen import Seen
from vsc_eval.synthetic.streams import Stream
from vsc_eval.synthetic.tasks.base import SyntheticTask
from vsc_eval.synthetic.tasks.draft import ALL_COLOURS, ALL_SHAPES, Context, Draft, Kind, other, scene, sizes


class LogicDifficulty(Difficulty):
    n_atoms: int
    """Atoms in each statement."""
    quantifiers: bool
    """Whether `all`, `not all`, `no` and `some` occur."""


LEVELS = {
    "easy": LogicDifficulty(size_px=(48, 72), gap_px=24, n_objects=4, n_atoms=1, quantifiers=False),
    "medium": LogicDifficulty(size_px=(36, 56), gap_px=12, n_objects=6, n_atoms=2, quantifiers=False),
    "hard": LogicDifficulty(size_px=(28, 44), gap_px=8, n_objects=8, n_atoms=3, quantifiers=True),
}

_TEMPLATES = (
    "Which statement is true?",
    "Which of the statements is true?",
    "Which statement fits the image?",
    "Which statement describes the image correctly?",
    "What is true of the image?",
)


def question(template: int) -> str:
    """Options are statements."""
    return _TEMPLATES[template]


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


def texts() -> Iterator[str]:
    """Every word of the questions and options."""
    yield from _TEMPLATES
    for colour, shape, positive in itertools.product(COLOURS, SHAPES, (True, False)):
        yield exists_statement(colour, shape, positive)
        yield all_statement(colour, shape, positive)
        yield none_statement(colour, shape, positive)
    yield one_and_either("a", both("a", "a"), either("a", "a"))


_N_FACTS = 4
_N_WORLDS = 1 << _N_FACTS
_EVERY = (1 << _N_WORLDS) - 1
_FACT_TABLES = [sum(1 << w for w in range(_N_WORLDS) if w >> f & 1) for f in range(_N_FACTS)]
"""Truth tables as bit masks over the 16 worlds; bit w of table f says whether fact f holds in world w."""
_TRIES = 60


@dataclass(frozen=True)
class Fact:
    """One fact: what its object is when the fact holds and when not, and how both are said."""

    when_true: Kind
    when_false: Kind
    text: Callable[[bool], str]
    check: Callable[[bool], Program]


@dataclass(frozen=True)
class Plan:
    """A statement before it is put into words: (fact, affirmed?) of each atom, and how they are joined.

    `strict` joins all atoms by `and`; otherwise two atoms are joined by `or`, and of three the last two.
    """

    atoms: tuple[tuple[int, bool], ...]
    strict: bool

    def table(self) -> int:
        """The worlds in which the statement is true, as a bit mask."""
        tables = [_FACT_TABLES[fact] ^ (0 if positive else _EVERY) for fact, positive in self.atoms]
        joined = tables[-1]
        for i, table in enumerate(reversed(tables[:-1])):
            joined = joined & table if self.strict or i else joined | table
        return joined


def _exists_fact(kind: Kind, near_miss: Kind) -> Fact:
    here = program.exists(program.filter_(colour=kind[0], shape=kind[1]))
    return Fact(
        kind,
        near_miss,
        lambda positive: exists_statement(*kind, positive),
        lambda positive: here if positive else program.not_(here),
    )


def _all_fact(kind: Kind, false_colour: str) -> Fact:
    colour, shape = kind
    every = program.all_(program.filter_(shape=shape), colour)
    return Fact(
        kind,
        (false_colour, shape),
        lambda positive: all_statement(colour, shape, positive),
        lambda positive: every if positive else program.not_(every),
    )


def _none_fact(kind: Kind, true_colour: str) -> Fact:
    """True when no object of the shape has the colour."""
    colour, shape = kind
    nowhere = program.none_(program.filter_(shape=shape), colour)
    return Fact(
        (true_colour, shape),
        kind,
        lambda positive: none_statement(colour, shape, positive),
        lambda positive: nowhere if positive else program.not_(nowhere),
    )


def _near_miss(stream: Stream, kind: Kind, named: list[Kind], shapes: list[str], *, keep_colour: bool) -> Kind:
    """A kind that shares one attribute with `kind` and is named by no fact."""
    colour, shape = kind
    if keep_colour or stream.below(2):
        return colour, stream.pick([s for s in shapes if s != shape and (colour, s) not in named])
    return stream.pick([c for c in ALL_COLOURS if c != colour and (c, shape) not in named]), shape


def _facts(stream: Stream, difficulty: LogicDifficulty) -> tuple[list[Fact], list[Kind]]:
    """Four facts and the kinds of the objects that no fact changes."""
    colours = stream.shuffled(ALL_COLOURS)
    shapes = stream.shuffled(ALL_SHAPES)
    plain = shapes[2:] if difficulty.quantifiers else shapes
    n_exists = _N_FACTS - 2 if difficulty.quantifiers else _N_FACTS
    named: list[Kind] = [(colour, stream.pick(plain)) for colour in colours[:n_exists]]
    facts = [
        _exists_fact(kind, _near_miss(stream, kind, named, plain, keep_colour=difficulty.n_atoms > 1)) for kind in named
    ]
    fixed: list[Kind] = []
    if difficulty.quantifiers:
        every, never = (colours[4], shapes[0]), (colours[5], shapes[1])
        facts.append(_all_fact(every, other(stream, ALL_COLOURS, every[0])))
        facts.append(_none_fact(never, other(stream, ALL_COLOURS, never[0])))
        fixed += [every, every, (other(stream, ALL_COLOURS, never[0]), shapes[1])]
    while len(facts) + len(fixed) < difficulty.n_objects:
        kind = (stream.pick(ALL_COLOURS), stream.pick(plain))
        if kind not in named:
            fixed.append(kind)
    return facts, fixed


def _say(plan: Plan, facts: list[Fact]) -> tuple[str, Program]:
    """Text and program of a planned statement."""
    texts = [facts[fact].text(positive) for fact, positive in plan.atoms]
    checks = [facts[fact].check(positive) for fact, positive in plan.atoms]
    match len(texts), plan.strict:
        case 1, _:
            return texts[0], checks[0]
        case 2, True:
            return both(*texts), program.and_(checks)
        case 2, False:
            return either(*texts), program.or_(checks)
        case _, True:
            return all_three(*texts), program.and_(checks)
        case _:
            return one_and_either(*texts), program.and_([checks[0], program.or_(checks[1:])])


def _plan(stream: Stream, n_atoms: int, strict: bool) -> Plan:
    facts = stream.sample(range(_N_FACTS), n_atoms)
    return Plan(tuple((fact, bool(stream.below(2))) for fact in facts), strict)


def _alone(tables: list[int]) -> list[int]:
    """For each statement the worlds in which it is true and no other one is."""
    once, twice = 0, 0
    for table in tables:
        twice |= once & table
        once |= table
    return [table & ~twice for table in tables]


def _draw(stream: Stream, n_atoms: int) -> tuple[list[Plan], list[int]]:
    """Four plans and a world for each. Raises CrowdedError if chance gives none."""
    plans: list[Plan] = []
    tables: list[int] = []
    for _ in range(_TRIES):
        plan = _plan(stream, n_atoms, bool(plans) and bool(stream.below(2)))
        table = plan.table()
        if not all(_alone([*tables, table])):
            continue
        plans.append(plan)
        tables.append(table)
        if len(plans) == 4:
            break
    else:
        raise CrowdedError
    order = stream.shuffled(range(4))
    worlds: list[int] = []
    for alone in (_alone(tables)[i] for i in order):
        candidates = stream.shuffled([w for w in range(_N_WORLDS) if alone >> w & 1])
        worlds.append(min(candidates, key=lambda w: (w ^ worlds[0]).bit_count()) if worlds else candidates[0])
    return [plans[i] for i in order], worlds


def build(context: Context, difficulty: LogicDifficulty) -> Draft:
    stream = context.stream
    facts, fixed = _facts(stream, difficulty)
    plans, worlds = _draw(stream, difficulty.n_atoms)
    statements = [_say(plan, facts) for plan in plans]
    extents = sizes(context, difficulty, difficulty.n_objects)
    points = place(stream, extents, gap=difficulty.gap_px, phase=context.phase)
    scenes = []
    intermediates: list[dict[str, Any]] = []
    for world in worlds:
        truths = [bool(world >> f & 1) for f in range(_N_FACTS)]
        kinds = [fact.when_true if truth else fact.when_false for fact, truth in zip(facts, truths, strict=True)]
        scenes.append(scene([*kinds, *fixed], extents, points))
        intermediates.append({"facts": {fact.text(True): truth for fact, truth in zip(facts, truths, strict=True)}})
    return Draft(
        question=question,
        options=[text for text, _ in statements],
        program=program.which([check for _, check in statements]),
        scenes=scenes,
        intermediates=intermediates,
        kinds=["false_statement"] * 4,
    )


_ALL = re.compile(rf"(?P<negated>not )?all {SHAPE} are {COLOUR}")
_SOME = re.compile(rf"(?P<quantifier>no|some) {SHAPE} is {COLOUR}")
_THERE = re.compile(rf"there is (?P<article>no|an?) {COLOUR} {SHAPE}")


def _is_true(seen: Sequence[Seen], text: str) -> bool:
    if found := _ALL.fullmatch(text):
        every = all(o.colour == found["colour"] for o in seen if o.shape == found["shape"])
        return every != bool(found["negated"])
    if found := _SOME.fullmatch(text):
        return bool(matching(seen, found)) == (found["quantifier"] == "some")
    if found := _THERE.fullmatch(text):
        return bool(matching(seen, found)) == (found["article"] != "no")
    raise unclear(f"what '{text}' says")


def _statement_is_true(seen: Sequence[Seen], text: str) -> bool:
    head, comma, tail = text.partition(", and either ")
    if comma:
        return _is_true(seen, head) and any(_is_true(seen, part) for part in tail.split(" or "))
    if " or " in text:
        return any(_is_true(seen, part) for part in text.split(" or "))
    return all(_is_true(seen, part) for part in text.split(" and "))


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    true = [option for option in options if _statement_is_true(seen, option)]
    if len(true) != 1:
        raise unclear(f"{len(true)} statements are true")
    return true[0]


TASK = SyntheticTask("logic", levels=LEVELS, build=build, read=read, texts=texts)
