"""The pixel oracle: answers an item from its picture and the words of its prompt alone.

It shares nothing with the generator but the names of colours and shapes: it reads the prompt's text, not the program,
and measures positions, extents, areas and colours in the picture, not in the scene. Whatever it finds unclear (two
referents, sizes or places too close to call, no or two true statements) is an error, not a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from vsc_eval.errors import DataError
from vsc_eval.synthetic.mask import identity_mask
from vsc_eval.synthetic.render import render_array
from vsc_eval.synthetic.scene import COLOURS, SHAPES, Scene
from vsc_eval.synthetic.seen import Seen, look

_COLOUR = f"(?P<colour>{'|'.join(COLOURS)})"
_SHAPE = f"(?P<shape>{'|'.join(SHAPES)})(?:es|s)?"
_NOUN = re.compile(rf"\b{_COLOUR} {_SHAPE}\b")
_BARE = re.compile(rf"\b{_SHAPE}\b")

_CLEAR_PX = 12
"""Least difference of coordinates or edges to call one object further out than another."""
_CLEAR_EXTENT_PX = 4
"""Least difference of extents to call one object larger; the tip of a star or heart can be a pixel short."""
_LARGE_PX = 56
"""`large` and `small` objects lie well above and below this extent."""

_ALL = re.compile(rf"(?P<negated>not )?all {_SHAPE} are {_COLOUR}")
_SOME = re.compile(rf"(?P<quantifier>no|some) {_SHAPE} is {_COLOUR}")
_THERE = re.compile(rf"there is (?P<article>no|an?) {_COLOUR} {_SHAPE}")


def _unclear(what: str) -> DataError:
    return DataError(f"The picture does not canonicalise this: {what}.", hint="The item is faulty; report its id.")


def _matching(seen: Sequence[Seen], noun: re.Match[str]) -> list[Seen]:
    return [o for o in seen if (o.colour, o.shape) == (noun["colour"], noun["shape"])]


def _the(objects: Sequence[Seen], what: str) -> Seen:
    if len(objects) != 1:
        raise _unclear(f"{len(objects)} objects are {what}")
    return objects[0]


def _noun(text: str, pattern: re.Pattern[str] = _NOUN) -> re.Match[str]:
    found = pattern.search(text)
    if found is None:
        raise _unclear(f"no object is named in '{text}'")
    return found


def _counting(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    return str(len(_matching(seen, _noun(question))))


def _spatial(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    places: dict[bool, Seen] = {}
    for noun in _NOUN.finditer(question):
        is_reference = bool(re.search(r"(relative to|from|compared with) the $", question[: noun.start()].lower()))
        places[is_reference] = _the(_matching(seen, noun), noun[0])
    a, b = places[False], places[True]
    dx, dy = a.x - b.x, a.y - b.y
    across = abs(dx) > abs(dy)
    apart = abs(dx) - (a.width + b.width) / 2 if across else abs(dy) - (a.height + b.height) / 2
    if apart < 4 or min(abs(dx), abs(dy)) > 0.65 * max(abs(dx), abs(dy)):
        raise _unclear(f"direction ({dx}, {dy})")
    if across:
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def _attribute(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    noun = _noun(question, _BARE)
    objects = [o for o in seen if o.shape == noun["shape"]]
    word = question[: noun.start()].split()[-1]
    outward: dict[str, Callable[[Seen], tuple[float, float]]] = {
        "leftmost": lambda o: (o.x, o.x - o.width / 2),
        "rightmost": lambda o: (-o.x, -o.x - o.width / 2),
        "topmost": lambda o: (o.y, o.y - o.height / 2),
        "bottommost": lambda o: (-o.y, -o.y - o.height / 2),
    }
    if word == "large":
        objects = [o for o in objects if o.extent >= _LARGE_PX]
    elif word == "small":
        objects = [o for o in objects if o.extent < _LARGE_PX]
    elif word in outward:
        measure = outward[word]
        first, second = sorted(objects, key=measure)[:2]
        edges = sorted(measure(o)[1] for o in objects)
        if measure(second)[0] - measure(first)[0] < _CLEAR_PX or measure(first)[1] > edges[1] - _CLEAR_PX:
            raise _unclear(f"which {noun['shape']} is {word}")
        objects = [first]
    return _the(objects, f"{word} {noun['shape']}").colour


def _comparison(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    shape = _noun(question, _BARE)["shape"]
    largest = "largest" in question
    ranked = sorted((o for o in seen if o.shape == shape), key=lambda o: -o.area if largest else o.area)
    big, small = (ranked[0], ranked[1]) if largest else (ranked[1], ranked[0])
    if big.area < 1.2 * small.area or big.extent - small.extent < _CLEAR_EXTENT_PX:
        raise _unclear(f"extents {big.extent} and {small.extent}")
    return ranked[0].colour


def _existence(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    wanted = not re.search(r"\b(not|cannot|absent)\b", question)
    fitting = [option for option in options if bool(_matching(seen, _noun(option))) == wanted]
    if len(fitting) != 1:
        raise _unclear(f"{len(fitting)} options fit")
    return fitting[0]


def _atom(seen: Sequence[Seen], text: str) -> bool:
    if found := _ALL.fullmatch(text):
        every = all(o.colour == found["colour"] for o in seen if o.shape == found["shape"])
        return every != bool(found["negated"])
    if found := _SOME.fullmatch(text):
        return bool(_matching(seen, found)) == (found["quantifier"] == "some")
    if found := _THERE.fullmatch(text):
        return bool(_matching(seen, found)) == (found["article"] != "no")
    raise _unclear(f"what '{text}' says")


def _statement(seen: Sequence[Seen], text: str) -> bool:
    head, comma, tail = text.partition(", and either ")
    if comma:
        return _atom(seen, head) and any(_atom(seen, part) for part in tail.split(" or "))
    if " or " in text:
        return any(_atom(seen, part) for part in text.split(" or "))
    return all(_atom(seen, part) for part in text.split(" and "))


def _logic(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    true = [option for option in options if _statement(seen, option)]
    if len(true) != 1:
        raise _unclear(f"{len(true)} statements are true")
    return true[0]


def _hops(seen: Sequence[Seen], question: str, options: Sequence[str]) -> str:
    noun = _noun(question)
    here = _the(_matching(seen, noun), noun[0])
    for move in re.findall(r"\b(left|right|up|down)\b", question):
        sign = -1 if move in ("left", "up") else 1
        ahead = []
        for o in seen:
            dx, dy = o.x - here.x, o.y - here.y
            along, across = (dx, dy) if move in ("left", "right") else (dy, dx)
            if sign * along > 0 and abs(across) < 0.5 * abs(along):
                ahead.append((abs(along), o))
        if not ahead:
            raise _unclear(f"nothing lies {move} of ({here.x}, {here.y})")
        here = min(ahead, key=lambda pair: pair[0])[1]
    return here.colour


_READERS = {
    "counting": _counting,
    "spatial_relation": _spatial,
    "attribute_query": _attribute,
    "comparison": _comparison,
    "existence": _existence,
    "logic": _logic,
    "multi_hop": _hops,
}


def read_answer(task: str, seen: Sequence[Seen], prompt: str) -> int:
    """The 0-based option that a prompt calls for, given what was seen in the picture.

    Raises DataError if the picture does not canonicalise the question.
    """
    question, *rest = prompt.split("\n")
    options = [line.partition(". ")[2] for line in rest[:4]]
    answer = _READERS[task](seen, question, options)
    if options.count(answer) != 1:
        raise _unclear(f"'{answer}' is not one of the options {options}")
    return options.index(answer)


def look_at(scene: Scene) -> list[Seen]:
    """What the rendered picture of a scene shows."""
    return look(render_array(scene), identity_mask(scene))
