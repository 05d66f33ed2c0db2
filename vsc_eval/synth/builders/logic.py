"""Which statement is true? Statements are built over a few facts, each of which one object makes true or false.

A world is one assignment of the facts. Statements are drawn until each of the four is the only true one in some world;
worlds that change few objects are preferred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vsc_eval.synth import phrasing, program
from vsc_eval.synth.builders.draft import ALL_COLOURS, ALL_SHAPES, Context, Draft, Kind, other, scene, sizes
from vsc_eval.synth.knobs import LogicKnobs
from vsc_eval.synth.layout import CrowdedError, place
from vsc_eval.synth.program import Program
from vsc_eval.synth.streams import Stream

_N_FACTS = 4
_N_WORLDS = 1 << _N_FACTS
_EVERY = (1 << _N_WORLDS) - 1
_FACT_TABLES = [sum(1 << w for w in range(_N_WORLDS) if w >> f & 1) for f in range(_N_FACTS)]
"""Truth tables as bit masks over the 16 worlds; bit w of table f says whether fact f holds in world w."""
_TRIES = 400


@dataclass(frozen=True)
class Fact:
    """One fact: what its object is when the fact holds and when not, and how both are said."""

    when_true: Kind
    when_false: Kind
    text: Callable[[bool], str]
    check: Callable[[bool], Program]


@dataclass(frozen=True)
class Statement:
    text: str
    check: Program
    table: int


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


def _facts(stream: Stream, knobs: LogicKnobs) -> tuple[list[Fact], list[Kind]]:
    """Four facts and the kinds of the objects that no fact changes."""
    colours = stream.shuffled(ALL_COLOURS)
    shapes = stream.shuffled(ALL_SHAPES)
    plain = shapes[2:] if knobs.quantifiers else shapes
    n_exists = _N_FACTS - 2 if knobs.quantifiers else _N_FACTS
    named: list[Kind] = [(colour, stream.pick(plain)) for colour in colours[:n_exists]]
    facts = [
        _exists_fact(kind, _near_miss(stream, kind, named, plain, keep_colour=knobs.n_atoms > 1)) for kind in named
    ]
    fixed: list[Kind] = []
    if knobs.quantifiers:
        every, never = (colours[4], shapes[0]), (colours[5], shapes[1])
        facts.append(_all_fact(every, other(stream, ALL_COLOURS, every[0])))
        facts.append(_none_fact(never, other(stream, ALL_COLOURS, never[0])))
        fixed += [every, every, (other(stream, ALL_COLOURS, never[0]), shapes[1])]
    while len(facts) + len(fixed) < knobs.n_objects:
        kind = (stream.pick(ALL_COLOURS), stream.pick(plain))
        if kind not in named:
            fixed.append(kind)
    return facts, fixed


def _statement(stream: Stream, facts: list[Fact], indices: list[int]) -> Statement:
    """A statement over the facts at `indices` (1, 2 or 3 of them), each affirmed or denied at random."""
    texts, checks, tables = [], [], []
    for index in indices:
        positive = bool(stream.below(2))
        texts.append(facts[index].text(positive))
        checks.append(facts[index].check(positive))
        tables.append(_FACT_TABLES[index] if positive else _EVERY ^ _FACT_TABLES[index])
    first = bool(stream.below(2))
    match len(indices), first:
        case 1, _:
            return Statement(texts[0], checks[0], tables[0])
        case 2, True:
            return Statement(phrasing.both(*texts), program.and_(checks), tables[0] & tables[1])
        case 2, False:
            return Statement(phrasing.either(*texts), program.or_(checks), tables[0] | tables[1])
        case _, True:
            return Statement(phrasing.all_three(*texts), program.and_(checks), tables[0] & tables[1] & tables[2])
        case _:
            check = program.and_([checks[0], program.or_(checks[1:])])
            return Statement(phrasing.one_and_either(*texts), check, tables[0] & (tables[1] | tables[2]))


def _worlds(stream: Stream, statements: list[Statement]) -> list[int] | None:
    """For each statement a world in which it alone is true, near to the first one's; None if there is none."""
    tables = [s.table for s in statements]
    worlds: list[int] = []
    for i, table in enumerate(tables):
        rest = 0
        for j, other_table in enumerate(tables):
            if j != i:
                rest |= other_table
        alone = table & ~rest
        if not alone:
            return None
        candidates = stream.shuffled([w for w in range(_N_WORLDS) if alone >> w & 1])
        worlds.append(min(candidates, key=lambda w: (w ^ worlds[0]).bit_count()) if worlds else candidates[0])
    return worlds


def _draw(stream: Stream, facts: list[Fact], n_atoms: int) -> tuple[list[Statement], list[int]]:
    for _ in range(_TRIES):
        if n_atoms == 1:
            chosen = [[f] for f in stream.shuffled(range(_N_FACTS))]
        else:
            chosen = [stream.sample(range(_N_FACTS), n_atoms) for _ in range(4)]
        statements = [_statement(stream, facts, indices) for indices in chosen]
        worlds = _worlds(stream, statements)
        if worlds is not None:
            return statements, worlds
    raise CrowdedError


def build(context: Context, knobs: LogicKnobs) -> Draft:
    stream = context.stream
    facts, fixed = _facts(stream, knobs)
    statements, worlds = _draw(stream, facts, knobs.n_atoms)
    extents = sizes(context, knobs, knobs.n_objects)
    points = place(stream, extents, gap=knobs.gap_px, phase=context.phase)
    scenes = []
    intermediates: list[dict[str, Any]] = []
    for world in worlds:
        truths = [bool(world >> f & 1) for f in range(_N_FACTS)]
        kinds = [fact.when_true if truth else fact.when_false for fact, truth in zip(facts, truths, strict=True)]
        scenes.append(scene([*kinds, *fixed], extents, points))
        intermediates.append({"facts": {fact.text(True): truth for fact, truth in zip(facts, truths, strict=True)}})
    return Draft(
        question=phrasing.logic_question,
        options=[s.text for s in statements],
        program=program.which([s.check for s in statements]),
        scenes=scenes,
        intermediates=intermediates,
        kinds=["false_statement"] * 4,
    )
