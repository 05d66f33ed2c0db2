"""What an item asked and showed: drawn anew from its id where the benchmark made it, else what the publisher gave."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError, SpecError
from vsc_eval.figures.data_uri import picture_problem, png_data_uri
from vsc_eval.files import NO_PICTURE, picture_hash, prompt_hash
from vsc_eval.synthetic import GENERATOR_VERSION, Item, blind_image, find_item
from vsc_eval.synthetic.scene import scene_words

ASKED_BLIND = "The question was asked without a picture."
NOT_PUBLISHED = "No picture was published for this item."
GIVEN_ALT = "The item's picture; its publisher did not describe it."


@dataclass(frozen=True)
class Picture:
    src: str
    """A data URI of a PNG or JPEG."""
    alt: str
    """What is to be seen, in words."""


@dataclass(frozen=True)
class ItemView:
    question: str
    """Empty where the board does not know it."""
    options: tuple[str, ...]
    """Texts of the options in the order of their letters; empty where they are part of the question or unknown."""
    picture: Picture | None
    absent: str = ""
    """Why there is no picture, as a sentence; empty if there is one."""


def item_view(entry: Entry, row: int, *, is_synthetic: bool) -> ItemView:
    """What the item in that row of the entry's table asked and showed.

    Raises DataError if an item of the benchmark is not the one that its hashes tell of, or if a picture that came with
    the entry is not fit to be shown.
    """
    return _drawn(entry, row) if is_synthetic else _given(entry, row)


def _drawn(entry: Entry, row: int) -> ItemView:
    item = entry.table.items[row]
    try:
        drawn, drawn_hash, picture = _draw(item.item_id)
    except SpecError as error:
        raise _other(entry, row, error.message) from error
    if (drawn.task, drawn.level, drawn.answer) != (item.task, item.level, item.gold):
        raise _other(
            entry,
            row,
            f"The benchmark's item is {drawn.task}, {drawn.level}, gold {drawn.answer}; the entry's is "
            f"{item.task}, {item.level}, gold {item.gold}.",
        )
    if prompt_hash(drawn.prompt) != item.prompt_hash:
        raise _other(entry, row, "Its question is another one than the entry's prompt_hash tells of.")
    if item.image_hash == NO_PICTURE:
        return ItemView(drawn.question, drawn.options, None, ASKED_BLIND)
    found = dict([(drawn_hash, picture), _grey()]).get(item.image_hash)
    if found is None:
        raise _other(entry, row, "Its picture is another one than the entry's image_hash tells of.")
    return ItemView(drawn.question, drawn.options, found)


# All entries of a board ask the same items.
@lru_cache(maxsize=4096)
def _draw(item_id: str) -> tuple[Item, str, Picture]:
    """The benchmark's item of that id, the hash of its picture, and the picture."""
    item = find_item(item_id)
    image = item.image()
    return item, picture_hash(image), Picture(png_data_uri(np.asarray(image)), scene_words(item.scene))


@lru_cache(maxsize=1)
def _grey() -> tuple[str, Picture]:
    image = blind_image("grey")
    assert image is not None
    return picture_hash(image), Picture(png_data_uri(np.asarray(image)), "A plain grey canvas in place of the picture.")


def _other(entry: Entry, row: int, what: str) -> DataError:
    version = entry.generator_version
    hint = "Take the entry off the board, or publish its run again: it was asked something else."
    if version != GENERATOR_VERSION:
        hint = (
            f"The entry is of generator version {version}, this vsc-eval has {GENERATOR_VERSION}: build the board with "
            "the version that made the entry."
        )
    return DataError(f"Entry '{entry.id}', item '{entry.table.items[row].item_id}': {what}", hint=hint)


def _given(entry: Entry, row: int) -> ItemView:
    item = entry.table.items[row]
    shown = entry.shown.get(item.item_id)
    if shown is None or shown.picture is None:
        absent = ASKED_BLIND if item.image_hash == NO_PICTURE else NOT_PUBLISHED
        return ItemView(shown.question if shown else "", (), None, absent)
    problem = picture_problem(shown.picture)
    if problem is not None:
        raise DataError(
            f"Entry '{entry.id}', item '{item.item_id}': the picture in `shown` {problem}.",
            hint="Publish the run again with --with-pictures, or without pictures.",
        )
    return ItemView(shown.question, (), Picture(shown.picture, GIVEN_ALT))
