"""Which statement is true? Statements are built over a few facts, each of which one object makes true or false.

A world is one assignment of the facts. Statements are drawn one after the other so that each is the only true one in
some world. Where two or three facts are joined, at least one statement holds an `or`: left to chance, nearly all would
be `and`, since a statement that is true in few worlds is more easily the only true one. Of the worlds that fit, those
that change few objects are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vsc_eval.synthetic import phrasing, program
from vsc_eval.synthetic.builders.draft import ALL_COLOURS, ALL_SHAPES, Context, Draft, Kind, other, scene, sizes
from vsc_eval.synthetic.difficulty import LogicDifficulty
from vsc_eval.synthetic.layout import CrowdedError, place
from vsc_eval.synthetic.program import Program
from vsc_eval.synthetic.streams import Stream

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
        lambda positive: phrasing.exists_statement(*kind, positive),
        lambda positive: here if positive else program.not_(here),
    )


def _all_fact(kind: Kind, false_colour: str) -> Fact:
    colour, shape = kind
    every = program.all_(program.filter_(shape=shape), colour)
    return Fact(
        kind,
        (false_colour, shape),
        lambda positive: phrasing.all_statement(colour, shape, positive),
        lambda positive: every if positive else program.not_(every),
    )


def _none_fact(kind: Kind, true_colour: str) -> Fact:
    """True when no object of the shape has the colour."""
    colour, shape = kind
    nowhere = program.none_(program.filter_(shape=shape), colour)
    return Fact(
        (true_colour, shape),
        kind,
        lambda positive: phrasing.none_statement(colour, shape, positive),
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
            return phrasing.both(*texts), program.and_(checks)
        case 2, False:
            return phrasing.either(*texts), program.or_(checks)
        case _, True:
            return phrasing.all_three(*texts), program.and_(checks)
        case _:
            return phrasing.one_and_either(*texts), program.and_([checks[0], program.or_(checks[1:])])


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
        question=phrasing.logic_question,
        options=[text for text, _ in statements],
        program=program.which([check for _, check in statements]),
        scenes=scenes,
        intermediates=intermediates,
        kinds=["false_statement"] * 4,
    )
