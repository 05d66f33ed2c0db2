"""Whether an item's stored gold answer, the program run on its scene and the pixel oracle agree.

The pixel oracle answers an item from its picture and the words of its prompt alone. It shares nothing with the
generator but the names of colours and shapes: it reads the prompt's text, not the program, and measures positions,
extents, areas and colours in the picture, not in the scene. Whatever it finds unclear (two referents, sizes or places
too close to call, no or two true statements) is an error, not a guess.
"""

from collections.abc import Sequence

from vsc_eval.errors import DataError
from vsc_eval.synthetic.items import Item
from vsc_eval.synthetic.program import answer_index
from vsc_eval.synthetic.render import render_array
from vsc_eval.synthetic.scene import Scene
from vsc_eval.synthetic.seen import Seen, identity_mask, look, unclear
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


def verify(item: Item) -> list[Seen]:
    """Check one item's gold answer in both ways; returns what its picture shows.

    Raises DataError, naming the item, if the program or the pixels say otherwise or canonicalise nothing.
    """
    try:
        by_program = answer_index(item.program, item.scene, item.options, SYNTHETIC_TASKS.get(item.task).ops)
        seen = look_at(item.scene)
        by_pixels = read_answer(item.task, seen, item.prompt)
    except DataError as error:
        raise DataError(f"{item.id}: {error.message}", hint=error.hint) from error
    if not by_program == by_pixels == item.gold:
        raise DataError(
            f"{item.id}: gold is option {item.gold}, the program gives {by_program}, the pixels give {by_pixels}.",
            hint="Regenerate the item with this version of vsc-eval.",
        )
    return seen
