"""Items and answer orbits: any item of the benchmark from its name alone."""

import re
from typing import Any, Final, Literal, get_args

from PIL import Image
from pydantic import BaseModel, ConfigDict

from vsc_eval.errors import SpecError
from vsc_eval.synthetic.draws import CrowdedError, Stream
from vsc_eval.synthetic.program import LETTERS, MAIN_TEMPLATES, N_TEMPLATES, format_prompt
from vsc_eval.synthetic.render import pixel_hash, render
from vsc_eval.synthetic.scene import CANVAS, Scene
from vsc_eval.synthetic.tasks.base import LEVELS, SPLITS, SYNTHETIC_TASKS, Context, Draft, SyntheticTask

GENERATOR_VERSION: Final = "1"
"""Part of every stream's name: changing it draws a new benchmark."""

DEFAULT_SIZES: Final = {"train": 400, "sae": 200, "select": 100, "test": 100}
"""Items per cell that commands use unless told otherwise. The streams themselves do not end."""

Paraphrase = Literal["main", "heldout"]
_HELDOUT_MARK = "~heldout"
_ID = re.compile(rf"([^/]+)/([^/]+)/([^/]+)/([0-9]{{5}}|[1-9][0-9]{{5,}})({_HELDOUT_MARK})?/([{''.join(LETTERS)}])")
_ATTEMPTS = 200


class Item(BaseModel):
    """One question about one scene. The four items of an orbit have the same prompt and four different answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """`{orbit_id}/{gold letter}`."""
    orbit_id: str
    """`{split}/{task}/{level}/{orbit:05d}`, with `~heldout` after it for held-out wording."""
    task: str
    level: str
    split: str
    scene: Scene
    question: str
    options: tuple[str, str, str, str]
    gold: int
    """Index of the right option."""
    program: dict[str, Any]
    """What was asked, executable on the scene."""
    intermediate: dict[str, Any]
    """Values on the way to the answer."""
    foil_kinds: tuple[str, str, str, str]
    """Per option: `gold`, or what makes it a foil."""
    template_id: str
    paraphrase: Paraphrase
    difficulty: dict[str, Any]
    """Parameters of the level."""
    generator_version: str

    @property
    def answer(self) -> str:
        """Letter of the right option."""
        return LETTERS[self.gold]

    @property
    def prompt(self) -> str:
        """The text that a model reads after the picture."""
        return format_prompt(self.question, self.options)

    @property
    def pixel_hash(self) -> str:
        """sha256 (hex) of the picture's pixels."""
        return pixel_hash(self.scene)

    def image(self, *, size: int = CANVAS) -> Image.Image:
        """The picture, drawn now."""
        return render(self.scene, size=size)


def _draft(split: str, task: SyntheticTask, level: str, orbit: int) -> Draft:
    for attempt in range(_ATTEMPTS):
        stream = Stream(GENERATOR_VERSION, split, task.name, level, orbit, attempt)
        try:
            return task.build(Context(stream, SPLITS.index(split), orbit), task.levels[level])
        except CrowdedError:
            continue
    raise AssertionError(f"no layout for {split}/{task.name}/{level}/{orbit} in {_ATTEMPTS} attempts")


def make_orbit(split: str, task: str, level: str, orbit: int, *, paraphrase: Paraphrase = "main") -> tuple[Item, ...]:
    """The four items of one orbit, in the order of their letters.

    `heldout` asks about the same scenes in words that the main set never uses. Raises SpecError for an unknown name
    or a negative orbit.
    """
    for what, value, known in (
        ("split", split, SPLITS),
        ("level", level, LEVELS),
        ("paraphrase", paraphrase, get_args(Paraphrase)),
    ):
        if value not in known:
            raise SpecError(f"Unknown {what} '{value}'.", hint=f"Use one of: {', '.join(known)}.")
    made = SYNTHETIC_TASKS.get(task)
    if orbit < 0:
        raise SpecError(f"There is no orbit {orbit}.", hint="Orbits are numbered from 0.")
    draft = _draft(split, made, level, orbit)
    wording = Stream(GENERATOR_VERSION, split, task, level, orbit, "template", paraphrase)
    heldout = paraphrase == "heldout"
    template = wording.between(MAIN_TEMPLATES, N_TEMPLATES - 1) if heldout else wording.below(MAIN_TEMPLATES)
    orbit_id = f"{split}/{task}/{level}/{orbit:05d}" + (_HELDOUT_MARK if heldout else "")
    options = tuple(draft.options)
    question = draft.question(template)
    difficulty = made.levels[level].model_dump(mode="json")
    return tuple(
        Item(
            id=f"{orbit_id}/{LETTERS[gold]}",
            orbit_id=orbit_id,
            task=task,
            level=level,
            split=split,
            scene=draft.scenes[gold],
            question=question,
            options=options,
            gold=gold,
            program=draft.program,
            intermediate=draft.intermediates[gold],
            foil_kinds=tuple("gold" if i == gold else kind for i, kind in enumerate(draft.kinds)),
            template_id=f"{task}/{template}",
            paraphrase=paraphrase,
            difficulty=difficulty,
            generator_version=GENERATOR_VERSION,
        )
        for gold in range(4)
    )


def make_items(split: str, task: str, level: str, n: int, *, paraphrase: Paraphrase = "main") -> list[Item]:
    """The first `n` items of a cell, whole orbits only. Raises SpecError unless n is a positive multiple of 4."""
    if n <= 0 or n % 4:
        raise SpecError(
            f"Cannot make {n} items.", hint="Ask for a positive multiple of 4: items come in orbits of four."
        )
    return [item for orbit in range(n // 4) for item in make_orbit(split, task, level, orbit, paraphrase=paraphrase)]


def find_item(item_id: str) -> Item:
    """The item of that id, drawn again. Raises SpecError for an id that no item has."""
    found = _ID.fullmatch(item_id)
    if found is None:
        raise SpecError(f"'{item_id}' is no item id.", hint="An id looks like 'test/counting/hard/00003/B'.")
    split, task, level, number, heldout, letter = found.groups()
    orbit = make_orbit(split, task, level, int(number), paraphrase="heldout" if heldout else "main")
    return orbit[LETTERS.index(letter)]
