"""Which statement is true? Statements are built over a few facts, each of which one object makes true or false.

A world is one assignment of the facts. Statements are drawn one after the other so that each is the only true one in
some world. Where two or three facts are joined, at least one statement holds an `or`: left to chance, nearly all would
be `and`, since a statement that is true in few worlds is more easily the only true one. Of the worlds that fit, those
that change few objects are taken.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import CrowdedError, Stream
from vsc_eval.synthetic.program import Program, plural
from vsc_eval.synthetic.scene import COLOUR_NAMES, SHAPES, Kind
from vsc_eval.synthetic.seen import COLOUR, SHAPE, Seen, matching, only, unclear
from vsc_eval.synthetic.tasks.base import Context, Difficulty, Draft, SyntheticTask, asked, scene


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

TEMPLATES = (
    "Which statement is true?",
    "Which of the statements is true?",
    "Which statement fits the image?",
    "Which statement describes the image correctly?",
    "What is true of the image?",
)

Statement = tuple[str, Program]
"""What is said, and the program that says whether it is so."""


def _checked(check: Program, positive: bool) -> Program:
    return check if positive else program.not_(check)


def exists_statement(colour: str, shape: str, positive: bool) -> Statement:
    article = ("an" if colour[0] in "aeiou" else "a") if positive else "no"
    return f"there is {article} {colour} {shape}", _checked(program.exists(program.filter_(colour, shape)), positive)


def all_statement(colour: str, shape: str, positive: bool) -> Statement:
    every = program.all_(colour, program.filter_(shape=shape))
    return f"{'' if positive else 'not '}all {plural(shape)} are {colour}", _checked(every, positive)


def none_statement(colour: str, shape: str, positive: bool) -> Statement:
    """Positive: no such object (`no star is blue`); negative: at least one (`some star is blue`)."""
    nowhere = program.none_(colour, program.filter_(shape=shape))
    return f"{'no' if positive else 'some'} {shape} is {colour}", _checked(nowhere, positive)


def joined(parts: Sequence[Statement], strict: bool) -> Statement:
    """`strict` joins all parts by `and`; otherwise two are joined by `or`, and of three the last two."""
    texts, checks = [text for text, _ in parts], [check for _, check in parts]
    if len(parts) == 1:
        return parts[0]
    if strict:
        return " and ".join(texts), program.and_(checks)
    if len(parts) == 2:
        return " or ".join(texts), program.or_(checks)
    return f"{texts[0]}, and either {texts[1]} or {texts[2]}", program.and_([checks[0], program.or_(checks[1:])])


_N_FACTS: Final = 4
_WORLDS = range(1 << _N_FACTS)
"""Bit f of a world says whether fact f holds in it."""
_TRIES = 60


@dataclass(frozen=True)
class Fact:
    """One fact: what its object is when the fact holds and when not, and how its truth (True) or falsity is said."""

    when_true: Kind
    when_false: Kind
    said: Callable[[bool], Statement]


Plan = tuple[Sequence[tuple[int, bool]], bool]
"""A statement before it is put into words: (fact, affirmed?) of each atom, and whether they are `joined` strictly."""


def _holds(plan: Plan, world: int) -> bool:
    atoms, strict = plan
    truths = [(world >> fact & 1) == affirmed for fact, affirmed in atoms]
    return all(truths) if strict else all(truths[:-2]) and any(truths[-2:])


def _near_miss(stream: Stream, kind: Kind, named: list[Kind], shapes: list[str], *, keep_colour: bool) -> Kind:
    """A kind that shares one attribute with `kind` and is named by no fact."""
    colour, shape = kind
    if keep_colour or stream.below(2):
        return colour, stream.pick([s for s in shapes if s != shape and (colour, s) not in named])
    return stream.pick([c for c in COLOUR_NAMES if c != colour and (c, shape) not in named]), shape


def _facts(stream: Stream, difficulty: LogicDifficulty) -> tuple[list[Fact], list[Kind]]:
    """Four facts and the kinds of the objects that no fact changes."""
    colours, shapes = stream.shuffled(COLOUR_NAMES), stream.shuffled(SHAPES)
    plain = shapes[2:] if difficulty.quantifiers else shapes
    n_exists = _N_FACTS - 2 if difficulty.quantifiers else _N_FACTS
    named = [(colour, stream.pick(plain)) for colour in colours[:n_exists]]
    facts = []
    for kind in named:
        near = _near_miss(stream, kind, named, plain, keep_colour=difficulty.n_atoms > 1)
        facts.append(Fact(kind, near, partial(exists_statement, *kind)))
    fixed: list[Kind] = []
    if difficulty.quantifiers:
        every, never = (colours[4], shapes[0]), (colours[5], shapes[1])
        exception = (stream.other(COLOUR_NAMES, every[0]), every[1])
        facts.append(Fact(every, exception, partial(all_statement, *every)))
        instead = (stream.other(COLOUR_NAMES, never[0]), never[1])
        facts.append(Fact(instead, never, partial(none_statement, *never)))
        fixed += [every, every, (stream.other(COLOUR_NAMES, never[0]), never[1])]
    while len(facts) + len(fixed) < difficulty.n_objects:
        kind = (stream.pick(COLOUR_NAMES), stream.pick(plain))
        if kind not in named:
            fixed.append(kind)
    return facts, fixed


def _alone(plans: Sequence[Plan]) -> list[frozenset[int]]:
    """For each statement the worlds in which it is true and no other one is."""
    true = [frozenset(world for world in _WORLDS if _holds(plan, world)) for plan in plans]
    return [worlds.difference(*true[:i], *true[i + 1 :]) for i, worlds in enumerate(true)]


def _draw(stream: Stream, n_atoms: int) -> tuple[list[Plan], list[int]]:
    """Four plans and a world for each. Raises CrowdedError if chance gives none."""
    plans: list[Plan] = []
    for _ in range(_TRIES):
        strict = bool(plans) and bool(stream.below(2))
        atoms = [(fact, bool(stream.below(2))) for fact in stream.sample(range(_N_FACTS), n_atoms)]
        if all(_alone([*plans, (atoms, strict)])):
            plans.append((atoms, strict))
        if len(plans) == 4:
            break
    else:
        raise CrowdedError
    plans = stream.shuffled(plans)
    worlds: list[int] = []
    for alone in _alone(plans):
        candidates = stream.shuffled(sorted(alone))
        worlds.append(min(candidates, key=lambda w: (w ^ worlds[0]).bit_count()) if worlds else candidates[0])
    return plans, worlds


def build(context: Context, difficulty: LogicDifficulty) -> Draft:
    facts, fixed = _facts(context.stream, difficulty)
    plans, worlds = _draw(context.stream, difficulty.n_atoms)
    statements = [joined([facts[fact].said(yes) for fact, yes in atoms], strict) for atoms, strict in plans]
    extents, points = context.lay_out(difficulty)
    scenes, intermediates = [], []
    for world in worlds:
        truths = [(fact, bool(world >> f & 1)) for f, fact in enumerate(facts)]
        kinds = [fact.when_true if truth else fact.when_false for fact, truth in truths]
        scenes.append(scene([*kinds, *fixed], extents, points))
        intermediates.append({"facts": {fact.said(True)[0]: truth for fact, truth in truths}})
    return Draft(
        question=asked(TEMPLATES),
        options=[text for text, _ in statements],
        program=program.which([check for _, check in statements]),
        scenes=scenes,
        intermediates=intermediates,
        kinds=["false_statement"] * 4,
    )


_ALL = re.compile(rf"(?P<negated>not )?all {SHAPE} are {COLOUR}")
_SOME = re.compile(rf"(?P<quantifier>no|some) {SHAPE} is {COLOUR}")
_THERE = re.compile(rf"there is (?P<quantifier>no|an?) {COLOUR} {SHAPE}")


def _is_true(seen: Sequence[Seen], text: str) -> bool:
    if found := _ALL.fullmatch(text):
        every = all(o.colour == found["colour"] for o in seen if o.shape == found["shape"])
        return every != bool(found["negated"])
    if found := _SOME.fullmatch(text) or _THERE.fullmatch(text):
        return bool(matching(seen, found)) == (found["quantifier"] != "no")
    raise unclear(f"what '{text}' says")


def _statement_is_true(seen: Sequence[Seen], text: str) -> bool:
    head, comma, tail = text.partition(", and either ")
    if comma:
        return _is_true(seen, head) and _statement_is_true(seen, tail)
    how, parts = (any, text.split(" or ")) if " or " in text else (all, text.split(" and "))
    return how(_is_true(seen, part) for part in parts)


def read(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    return only([option for option in options if _statement_is_true(seen, option)], "statements are true")


_STATEMENT_WORDS = ("there is a an no", "not all are", "no some is", ", and either or")
TASK = SyntheticTask("logic", LEVELS, build, read, (*TEMPLATES, *_STATEMENT_WORDS))
