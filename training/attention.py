"""Where attention should go: targets for a few heads, read off the prompt and the scene.

Binding words to objects is what a small model learns last from answers alone. So one or two heads of each layer are
told where to look; what they do with it, and all other heads, is left to the answers:
layer 0: a colour or shape word looks at the objects that have it; the end of a phrase also at its other word;
layer 1: the end of a phrase looks at the objects that fit all of it, or at the first token if there are none; a second
         head spreads evenly over those objects and the first token, whose share then tells how many there are;
layer 2: a move looks back at its start, the end of a question at the phrase it is about (a spatial one: at both);
layer 3: a move, and the end of a question about one object, look at the object that is meant;
layer 4: an option looks back at where the answer is known: the last move, the counted phrase or the question's end;
layer 5: the answer's place looks at the right option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.questions import Question, hops
from vsc_eval.errors import DataError
from vsc_eval.synthetic import Scene, SceneObject
from vsc_eval.synthetic.program import Program, plural, referent
from vsc_eval.synthetic.scene import COLOURS, LARGE_MIN_PX, SHAPES, SMALL_MAX_PX

WORD, PHRASE, BACK, BACK_TOO, OBJECT, QUESTION, OPTION, OTHER_WORD, COUNT = range(9)
PLACES: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (2, 0), (2, 1), (3, 0), (4, 0), (5, 0), (0, 1), (1, 1))
"""(layer, head) of each of the kinds above."""

_SHAPE_OF = {word: shape for shape in SHAPES for word in (shape, plural(shape))}
_LINKS = ("is", "are")


@dataclass(frozen=True)
class AttentionTarget:
    """Branch token `at` should attend to `objects` or branch tokens `tokens`.

    If there are none, and always for COUNT, the prompt's first token is a target too.
    """

    kind: int
    at: int
    objects: tuple[SceneObject, ...] = ()
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True)
class Where:
    """After layer `layer`, branch token `at` should know the centre of `target`."""

    layer: int
    at: int
    target: SceneObject


WHERE_LAYERS = (1, 2)
"""Layers of `Where`: phrases know their object after layer 1, moves the object they reach after layer 2."""


COUNT_LAYER = 1
"""The layer after which a phrase knows how many objects fit it."""


def places_known(found: Sequence[AttentionTarget], moves: Sequence[int]) -> list[Where]:
    """Where things are, at tokens that speak of exactly one: needed for directions and for moves."""
    phrases = [Where(1, one.at, one.objects[0]) for one in found if one.kind == PHRASE and len(one.objects) == 1]
    reached = [Where(2, one.at, one.objects[0]) for one in found if one.kind == OBJECT and one.at in moves]
    return phrases + reached


@dataclass(frozen=True)
class _Phrase:
    """Attributes named so far, ending at token `at`."""

    at: int
    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    other_at: int | None = None
    """The token of its first word, if it has two."""

    def fits(self, o: SceneObject) -> bool:
        size = "small" if o.size <= SMALL_MAX_PX else "large" if o.size >= LARGE_MIN_PX else None
        return (
            (self.shape is None or o.shape == self.shape)
            and (self.colour is None or o.colour == self.colour)
            and (self.size is None or size == self.size)
        )


def _phrases(tokens: Sequence[str]) -> Iterator[_Phrase]:
    """Phrases such as `red circle`, `large star`, `circles`, `squares are red`, with the token that completes each."""
    shape: str | None = None
    shape_at = 0
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else ""
        if token in _SHAPE_OF:
            shape = _SHAPE_OF[token]
            shape_at = at
            colour = before if before in COLOURS else None
            size = before if before in ("large", "small") else None
            yield _Phrase(at, shape, colour, size, at - 1 if colour or size else None)
        elif token in COLOURS and before in _LINKS and shape is not None:
            yield _Phrase(at, shape, token, other_at=shape_at)


def _words(tokens: Sequence[str]) -> Iterator[_Phrase]:
    for at, token in enumerate(tokens):
        if token in _SHAPE_OF:
            yield _Phrase(at, shape=_SHAPE_OF[token])
        elif token in COLOURS:
            yield _Phrase(at, colour=token)


def _meant(program: Program, scene: Scene) -> tuple[SceneObject, ...]:
    try:
        return (referent(program, scene),)
    except DataError:
        return ()


def attention_targets(
    question: Question, scene: Scene, tokens: Sequence[str], option_ends: Sequence[int], moves: Sequence[int],
    question_end: int, answer_at: int,
) -> list[AttentionTarget]:  # fmt: skip
    """All targets of one question.

    tokens: the words of the whole branch; option_ends, moves: token positions of the options' ends and of the hops in
    the question; question_end: its last token; answer_at: the token after which the letter is said.
    """
    found: list[AttentionTarget] = []
    for word in _words(tokens):
        found.append(AttentionTarget(WORD, word.at, tuple(o for o in scene.objects if word.fits(o))))
    phrases = list(_phrases(tokens))
    for phrase in phrases:
        found.append(AttentionTarget(PHRASE, phrase.at, tuple(o for o in scene.objects if phrase.fits(o))))
        found.append(AttentionTarget(COUNT, phrase.at, found[-1].objects))
        if phrase.other_at is not None:
            found.append(AttentionTarget(OTHER_WORD, phrase.at, tokens=(phrase.other_at,)))
    asked = [phrase.at for phrase in phrases if phrase.at <= question_end]
    found += _program_targets(question, scene, asked, moves, question_end)
    if question.program["op"] != "which":
        known_at = moves[-1] if moves else asked[-1] if question.program["op"] == "count" else question_end
        found += [AttentionTarget(QUESTION, end, tokens=(known_at,)) for end in option_ends]
    found.append(AttentionTarget(OPTION, answer_at, tokens=(option_ends[question.gold],)))
    # Objects of empty sets send attention to the first token; only phrases and words can be empty.
    return [target for target in found if target.objects or target.tokens or target.kind in (WORD, PHRASE, COUNT)]


def _program_targets(
    question: Question, scene: Scene, asked: Sequence[int], moves: Sequence[int], question_end: int
) -> Iterator[AttentionTarget]:
    program = question.program
    if program["op"] == "query":
        for at, hop in zip(moves, hops(program), strict=True):
            yield AttentionTarget(BACK, at, tokens=tuple(asked[:1]))
            yield AttentionTarget(OBJECT, at, _meant(hop, scene))
        if not moves:
            yield AttentionTarget(BACK, question_end, tokens=tuple(asked[-1:]))
            yield AttentionTarget(OBJECT, question_end, _meant(program["of"], scene))
    elif program["op"] == "count":
        yield AttentionTarget(BACK, question_end, tokens=tuple(asked[-1:]))
    elif program["op"] == "relate" and len(asked) == 2:
        yield AttentionTarget(BACK, question_end, tokens=(asked[0],))
        yield AttentionTarget(BACK_TOO, question_end, tokens=(asked[1],))
