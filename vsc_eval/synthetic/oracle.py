"""The pixel oracle: answers an item from its picture and the words of its prompt alone.

It shares nothing with the generator but the names of colours and shapes: it reads the prompt's text, not the program,
and measures positions, extents, areas and colours in the picture, not in the scene. Whatever it finds unclear (two
referents, sizes or places too close to call, no or two true statements) is an error, not a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.synthetic.mask import identity_mask
from vsc_eval.synthetic.reading import unclear
from vsc_eval.synthetic.render import render_array
from vsc_eval.synthetic.scene import Scene
from vsc_eval.synthetic.seen import Seen, look
from vsc_eval.synthetic.tasks.base import SYNTHETIC_TASKS


def read_answer(task: str, seen: Sequence[Seen], prompt: str) -> int:
    """The 0-based option that a prompt calls for, given what was seen in the picture.

    Raises DataError if the picture does not canonicalise the question.
    """
    question, *rest = prompt.split("\n")
    options = [line.partition(". ")[2] for line in rest[:4]]
    answer = SYNTHETIC_TASKS.get(task).read(seen, question, options)
    if options.count(answer) != 1:
        raise unclear(f"'{answer}' is not one of the options {options}")
    return options.index(answer)


def look_at(scene: Scene) -> list[Seen]:
    """What the rendered picture of a scene shows."""
    return look(render_array(scene), identity_mask(scene))
