"""Further questions about a scene, in the benchmark's own words.

An image costs more than a question, so each training image carries many. What a benchmark item asks is one of them; the
others are drawn here, for any scene, each with the program that answers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vsc_eval.errors import DataError
from vsc_eval.synthetic import program
from vsc_eval.synthetic.draws import Stream
from vsc_eval.synthetic.items import Item
from vsc_eval.synthetic.program import Program, execute
from vsc_eval.synthetic.scene import COLOURS, LARGE_MIN_PX, SHAPES, SMALL_MAX_PX, Scene, SceneObject
from vsc_eval.synthetic.tasks import (
    attribute_query,
    comparison,
    counting,
    existence,
    logic,
    multi_hop,
    spatial_relation,
)
from vsc_eval.synthetic.tasks.base import asked

TRUE_WORD, FALSE_WORD = "true", "not"
"""Words of the vocabulary that stand for the truth of a statement's part."""

_JOINTS = re.compile(r", and either | and | or ")
_COLOURS, _SHAPES = tuple(COLOURS), tuple(SHAPES)


@dataclass(frozen=True)
class Question:
    """A prompt about one scene, with its answer."""

    task: str
    text: str
    options: tuple[str, str, str, str]
    program: Program
    gold: int


@dataclass(frozen=True)
class Mark:
    """The word that is known after the character before `end` of the question (option None) or of an option."""

    option: int | None
    end: int
    word: str


def of_item(item: Item) -> Question:
    return Question(item.task, item.question, item.options, item.program, item.gold)


def _leaves(p: Program) -> Iterator[Program]:
    if p["op"] in ("and", "or"):
        for part in p["of"]:
            yield from _leaves(part)
    else:
        yield p


def hops(p: Program) -> list[Program]:
    """The `move` programs on the way to the answer, first hop first."""
    out: list[Program] = []
    while isinstance(p, dict) and "of" in p and not isinstance(p["of"], list):
        if p["op"] == "move":
            out.insert(0, p)
        p = p["of"]
    return out


def marks(question: Question, scene: Scene) -> list[Mark]:
    """Words that can be known at some place of the prompt, from the program and the scene."""
    if question.program["op"] == "which":
        return list(_statement_marks(question, scene))
    end = len(question.text)
    if question.program["op"] == "count":
        # A number is known where the phrase ends; the question's end would have to be told first.
        counted = program.plural(question.program["of"]["shape"])
        end = question.text.index(counted) + len(counted)
    out = [Mark(None, end, str(execute(question.program, scene)))]
    at = 0
    for hop in hops(question.program):
        # The moves follow each other in the text; `at` keeps a repeated direction from matching twice.
        found = re.compile(rf"\b{hop['direction']}\b").search(question.text, at)
        if found is None:
            break
        at = found.end()
        out.append(Mark(None, at, str(execute(program.query_colour(hop), scene))))
    return out


def _statement_marks(question: Question, scene: Scene) -> Iterator[Mark]:
    for index, (option, check) in enumerate(zip(question.options, question.program["of"], strict=True)):
        ends = [joint.start() for joint in _JOINTS.finditer(option)] + [len(option)]
        for end, leaf in zip(ends, _leaves(check), strict=True):
            yield Mark(index, end, TRUE_WORD if execute(leaf, scene) else FALSE_WORD)


def _unique_kinds(scene: Scene) -> list[SceneObject]:
    kinds: dict[tuple[str, str], list[SceneObject]] = {}
    for o in scene.objects:
        kinds.setdefault((o.colour, o.shape), []).append(o)
    return [found[0] for found in kinds.values() if len(found) == 1]


def _one(o: SceneObject) -> Program:
    return program.unique(program.filter_(colour=o.colour, shape=o.shape))


def _worded(stream: Stream, templates: Sequence[str], **words: str) -> str:
    return asked(templates, **words)(stream.below(program.MAIN_TEMPLATES))


def _choose(stream: Stream, task: str, text: str, gold: str, foils: Sequence[str], p: Program) -> Question | None:
    foils = list(dict.fromkeys(f for f in foils if f != gold))[:3]
    if len(foils) < 3:
        return None
    options = stream.shuffled([gold, *foils])
    return Question(task, text, (options[0], options[1], options[2], options[3]), p, options.index(gold))


def _colour_foils(stream: Stream, scene: Scene, near: Sequence[SceneObject]) -> list[str]:
    """Colours of `near` objects first, then of the picture, then any."""
    present = sorted({o.colour for o in scene.objects})
    return [*stream.shuffled(sorted({o.colour for o in near})), *stream.shuffled(present), *stream.shuffled(_COLOURS)]


def _counting(stream: Stream, scene: Scene) -> Question | None:
    # An object picked at random makes numerous kinds likely; picking a kind would nearly always ask about a single one.
    o = stream.pick(scene.objects)
    p = program.count(program.filter_(colour=o.colour, shape=o.shape))
    n = int(execute(p, scene))
    low = max(1, n - stream.below(4))
    text = _worded(stream, counting.TEMPLATES, colour=o.colour, shapes=program.plural(o.shape))
    return _choose(stream, "counting", text, str(n), [str(k) for k in range(low, low + 4)], p)


def _spatial(stream: Stream, scene: Scene) -> Question | None:
    known = _unique_kinds(scene)
    if len(known) < 2:
        return None
    a, b = stream.sample(known, 2)
    dx, dy = abs(a.x - b.x), abs(a.y - b.y)
    if max(dx, dy) < 40 or min(dx, dy) > 0.65 * max(dx, dy):
        return None
    p = program.relate(_one(a), _one(b))
    text = _worded(stream, spatial_relation.TEMPLATES, a=f"{a.colour} {a.shape}", b=f"{b.colour} {b.shape}")
    return _choose(stream, "spatial_relation", text, str(execute(p, scene)), spatial_relation.RELATIONS, p)


def _attribute(stream: Stream, scene: Scene) -> Question | None:
    target = stream.pick(scene.objects)
    same = [o for o in scene.objects if o.shape == target.shape]
    if len(same) == 1:
        reference, p = target.shape, program.unique(program.filter_(shape=target.shape))
    elif stream.below(3) == 0:
        size = "small" if target.size <= SMALL_MAX_PX else "large" if target.size >= LARGE_MIN_PX else None
        if size is None:
            return None
        reference, p = f"{size} {target.shape}", program.unique(program.filter_(shape=target.shape, size=size))
    else:
        word = stream.pick(tuple(attribute_query.POSITION_WORDS))
        by, which = attribute_query.POSITION_WORDS[word]
        ranked = sorted((int(getattr(o, by)) for o in same), reverse=which == "max")
        if abs(ranked[0] - ranked[1]) < 14:
            return None
        reference, p = f"{word} {target.shape}", program.extreme(by, which, program.filter_(shape=target.shape))
    p = program.query_colour(p)
    text = _worded(stream, attribute_query.TEMPLATES, reference=reference)
    return _choose(stream, "attribute_query", text, str(execute(p, scene)), _colour_foils(stream, scene, same), p)


def _comparison(stream: Stream, scene: Scene) -> Question | None:
    shape = stream.pick(scene.objects).shape
    same = [o for o in scene.objects if o.shape == shape]
    if len(same) < 2:
        return None
    largest = bool(stream.below(2))
    ranked = sorted((o.size for o in same), reverse=largest)
    if max(ranked[:2]) < 1.12 * min(ranked[:2]) or abs(ranked[0] - ranked[1]) < 6:
        return None
    p = program.query_colour(program.extreme("size", "max" if largest else "min", program.filter_(shape=shape)))
    extreme = "largest" if largest else "smallest"
    text = _worded(stream, comparison.TEMPLATES, extreme=extreme, shape=shape, shapes=program.plural(shape))
    return _choose(stream, "comparison", text, str(execute(p, scene)), _colour_foils(stream, scene, same), p)


def _random_kind(stream: Stream, scene: Scene) -> tuple[str, str]:
    """Colour and shape, each mostly one that the picture holds, so that absent kinds are near misses."""
    colour = stream.pick(scene.objects).colour if stream.below(4) else stream.pick(_COLOURS)
    shape = stream.pick(scene.objects).shape if stream.below(4) else stream.pick(_SHAPES)
    return colour, shape


def _existence(stream: Stream, scene: Scene) -> Question | None:
    present = sorted({(o.colour, o.shape) for o in scene.objects})
    absent: list[tuple[str, str]] = []
    for _ in range(12):
        kind = _random_kind(stream, scene)
        if kind not in present and kind not in absent:
            absent.append(kind)
    negative = bool(stream.below(2))
    golds, foils = (absent, present) if negative else (present, absent)
    if not golds or len(foils) < 3:
        return None
    kinds = [stream.pick(golds), *stream.sample(foils, 3)]
    order = stream.shuffled(range(4))
    chosen = [kinds[i] for i in order]
    checks = [program.exists(program.filter_(colour=c, shape=s)) for c, s in chosen]
    p = program.which([program.not_(c) for c in checks] if negative else checks)
    text = _worded(stream, existence.ABSENCE if negative else existence.EXISTENCE)
    a, b, c, d = (" ".join(kind) for kind in chosen)
    return Question("existence", text, (a, b, c, d), p, order.index(0))


def _atom(stream: Stream, scene: Scene, *, quantified: bool) -> tuple[str, Program]:
    positive = bool(stream.below(2))
    colour, shape = _random_kind(stream, scene)
    if quantified and stream.below(2):
        shape = stream.pick(scene.objects).shape
        if stream.below(2):
            return logic.all_statement(colour, shape, positive)
        return logic.none_statement(colour, shape, positive)
    return logic.exists_statement(colour, shape, positive)


def _statement(stream: Stream, scene: Scene, n_atoms: int) -> tuple[str, Program]:
    atoms = [_atom(stream, scene, quantified=n_atoms == 3) for _ in range(n_atoms)]
    return logic.joined(atoms, strict=bool(stream.below(2)))


def _logic(stream: Stream, scene: Scene, n_atoms: int | None = None) -> Question | None:
    n_atoms = n_atoms or stream.between(1, 3)
    true: list[tuple[str, Program]] = []
    false: list[tuple[str, Program]] = []
    for _ in range(24):
        statement = _statement(stream, scene, n_atoms)
        bucket = true if execute(statement[1], scene) else false
        if statement[0] not in (text for text, _ in bucket):
            bucket.append(statement)
        if true and len(false) >= 3:
            break
    else:
        return None
    order = stream.shuffled(range(4))
    chosen = [[true[0], *false[:3]][i] for i in order]
    a, b, c, d = (text for text, _ in chosen)
    p = program.which([check for _, check in chosen])
    return Question("logic", _worded(stream, logic.TEMPLATES), (a, b, c, d), p, order.index(0))


def _hop(stream: Stream, scene: Scene) -> Question | None:
    known = _unique_kinds(scene)
    if scene.grid is None or not known:
        return None
    start = stream.pick(known)
    moves = [stream.pick(multi_hop.DIRECTIONS) for _ in range(stream.between(1, 3))]
    p = _one(start)
    for direction in moves:
        p = program.move(direction, p)
    p = program.query_colour(p)
    name = f"{start.colour} {start.shape}"
    text = _worded(stream, multi_hop.TEMPLATES, start=name, moves=multi_hop.THEN.join(moves))
    return _choose(stream, "multi_hop", text, str(execute(p, scene)), _colour_foils(stream, scene, []), p)


_DRAWERS: dict[str, Callable[[Stream, Scene], Question | None]] = {
    "counting": _counting,
    "spatial_relation": _spatial,
    "attribute_query": _attribute,
    "comparison": _comparison,
    "existence": _existence,
    "logic": _logic,
    "multi_hop": _hop,
}


def draw(stream: Stream, scene: Scene, task: str) -> Question | None:
    """A question of `task` about `scene`, or None if this draw has no clear answer there."""
    try:
        return _DRAWERS[task](stream, scene)
    except DataError:  # the program has no single answer: not a question that can be asked of this scene
        return None
