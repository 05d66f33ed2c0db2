"""What the words of a prompt mean, and which of the objects that are seen they name.

The parts of the pixel oracle (oracle.py) that its readers of single tasks share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vsc_eval.errors import DataError
from vsc_eval.synthetic.scene import COLOURS, SHAPES
from vsc_eval.synthetic.seen import Seen

COLOUR = f"(?P<colour>{'|'.join(COLOURS)})"
SHAPE = f"(?P<shape>{'|'.join(SHAPES)})(?:es|s)?"
NOUN = re.compile(rf"\b{COLOUR} {SHAPE}\b")
BARE_NOUN = re.compile(rf"\b{SHAPE}\b")


def unclear(what: str) -> DataError:
    return DataError(f"The picture does not canonicalise this: {what}.", hint="The item is faulty; report its id.")


def matching(seen: Sequence[Seen], noun: re.Match[str]) -> list[Seen]:
    return [o for o in seen if (o.colour, o.shape) == (noun["colour"], noun["shape"])]


def the_one(objects: Sequence[Seen], what: str) -> Seen:
    if len(objects) != 1:
        raise unclear(f"{len(objects)} objects are {what}")
    return objects[0]


def noun_in(text: str, pattern: re.Pattern[str] = NOUN) -> re.Match[str]:
    found = pattern.search(text)
    if found is None:
        raise unclear(f"no object is named in '{text}'")
    return found
