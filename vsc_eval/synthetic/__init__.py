"""The synthetic benchmark: 7 tasks x 3 levels, typed scenes, executable questions, answer orbits.

>>> item = make_orbit("test", "counting", "hard", 0)[1]
>>> item.prompt, item.answer, item.image()
"""

from vsc_eval.synthetic.items import DEFAULT_SIZES, GENERATOR_VERSION, Item, find_item, make_items, make_orbit
from vsc_eval.synthetic.program import LETTERS, answer_index, execute, format_prompt
from vsc_eval.synthetic.render import blind_image, pixel_hash, render
from vsc_eval.synthetic.scene import BACKGROUND, CANVAS, COLOURS, SHAPES, Scene, SceneObject
from vsc_eval.synthetic.tasks.base import LEVELS, SPLITS, SYNTHETIC_TASKS, TASKS, vocabulary

__all__ = [
    "BACKGROUND", "CANVAS", "COLOURS", "DEFAULT_SIZES", "GENERATOR_VERSION", "LETTERS", "LEVELS", "SHAPES", "SPLITS",
    "SYNTHETIC_TASKS", "TASKS", "Item", "Scene", "SceneObject", "answer_index", "blind_image", "execute", "find_item",
    "format_prompt", "make_items", "make_orbit", "pixel_hash", "render", "vocabulary",
]  # fmt: skip
