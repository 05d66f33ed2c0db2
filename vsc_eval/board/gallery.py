"""What the page's gallery needs of a board, as plain data for JSON. What all entries share:

    kinds, tasks, levels   words, in the order of the benchmark and of the board
    letters                lists of letters that probabilities are of: [["A", "B"], []]; [] where there are none
    reasons                why there is no picture, in sentences
    sources, alts          pictures as data URIs, and what is to be seen in them
    items                  by column, the same item of several entries once: `id`, `gold`, `question` ("" where it is
                           not known), `options` (texts in the order of the letters, [] where they are not known), and
                           places in the lists above or null: `task`, `level`, `picture`, `reason`

and one view for each entry, in the board's order; those of entries without edits hold nothing, so that the browser
reads what is looked at:

    conditions             headline ones first, then in the entry's order: `name`, `place` in the entry's own list,
                           `n_flips`, `n_shown` (of many flips only some are in the page, evenly over the items)
    items                  by column, those that some shown flip is of: `item` (place in the shared items), `before`
                           (the baseline's answer), `letters` (place), `p_before` (over the whole vocabulary, so that
                           they need not add up to 1; or null)
    flips                  by column, by condition and then in the order of the items: `condition`, `row` and `kind`
                           (places in the view's conditions, its items, and the kinds), `after`, `p_after`

All strings are made plain; the page escapes them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np

from vsc_eval.analysis.rows import Change, Flip, flips
from vsc_eval.answers.answer_table import AskedItem
from vsc_eval.board.board import Board
from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError, SpecError
from vsc_eval.figures.data_uri import picture_problem, png_data_uri
from vsc_eval.files import NO_PICTURE, picture_hash, short_hash
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import GENERATOR_VERSION, LEVELS, Item, blind_image, find_item
from vsc_eval.synthetic.scene import scene_words
from vsc_eval.tables.clean import everywhere, name

ASKED_BLIND = "The question was asked without a picture."
NOT_PUBLISHED = "No picture was published for this item."
GIVEN_ALT = "The item's picture; its publisher did not describe it."
MOST_FLIPS = 40_000
"""In the page of a board."""
MOST_PICTURE_CHARS = 8_000_000
"""Of all data URIs together."""
LEFT_OUT = "The picture was left out to keep the page small."
KIND_WORDS: dict[Change, str] = {
    "right_to_wrong": "right to wrong",
    "wrong_to_right": "wrong to right",
    "wrong_to_other": "wrong to another wrong",
    "to_invalid": "became unreadable",
    "from_invalid": "became readable",
}
_KINDS = tuple(KIND_WORDS)
_DIGITS = 3

Key = tuple[str, ...]
"""What makes an item the same item in two entries: how it was asked, and what is shown of it."""
T = TypeVar("T")


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
    """What the item in that row of the entry's table asked and showed: drawn anew from its id where the benchmark made
    it, else what the publisher gave.

    Raises DataError if an item of the benchmark is not the one that its hashes tell of, or if a picture that came with
    the entry is not fit to be shown.
    """
    item = entry.table.items[row]
    if not is_synthetic:
        return _given(entry, item)
    try:
        drawn, drawn_hash, picture = _draw(item.item_id)
    except SpecError as error:
        raise _other(entry, item, error.message) from error
    if (drawn.task, drawn.level, drawn.answer) != (item.task, item.level, item.gold):
        raise _other(
            entry,
            item,
            f"The benchmark's item is {drawn.task}, {drawn.level}, gold {drawn.answer}; the entry's is "
            f"{item.task}, {item.level}, gold {item.gold}.",
        )
    if short_hash(drawn.prompt) != item.prompt_hash:
        raise _other(entry, item, "Its question is another one than the entry's prompt_hash tells of.")
    if item.image_hash == NO_PICTURE:
        return ItemView(drawn.question, drawn.options, None, ASKED_BLIND)
    found = dict([(drawn_hash, picture), _grey()]).get(item.image_hash)
    if found is None:
        raise _other(entry, item, "Its picture is another one than the entry's image_hash tells of.")
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


def _other(entry: Entry, item: AskedItem, what: str) -> DataError:
    version = entry.generator_version
    hint = "Take the entry off the board, or publish its run again: it was asked something else."
    if version != GENERATOR_VERSION:
        hint = (
            f"The entry is of generator version {version}, this vsc-eval has {GENERATOR_VERSION}: build the board with "
            "the version that made the entry."
        )
    return DataError(f"Entry '{entry.id}', item '{item.item_id}': {what}", hint=hint)


def _given(entry: Entry, item: AskedItem) -> ItemView:
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


@dataclass(frozen=True)
class Chosen:
    """The flips of an entry that are shown; of every edit, headline ones first."""

    entry: Entry
    n_flips: dict[str, int]
    """Condition -> how many there are."""
    shown: dict[str, tuple[Flip, ...]]
    """Condition -> those that are shown, in the order of the items."""

    @cached_property
    def flips(self) -> tuple[Flip, ...]:
        return tuple(flip for own in self.shown.values() for flip in own)

    @cached_property
    def places(self) -> dict[str, int]:
        """Item -> its place in the entry's table."""
        return {item.item_id: place for place, item in enumerate(self.entry.table.items)}

    def item(self, flip: Flip) -> AskedItem:
        return self.entry.table.items[self.places[flip.item_id]]

    def key(self, flip: Flip) -> Key:
        """Entries that show an item in other words or pictures do not lend them to each other."""
        item, shown = self.item(flip), self.entry.shown.get(flip.item_id)
        given = () if shown is None else (shown.question, shown.picture or "")
        return (item.item_id, item.task, item.level or "", item.gold, item.prompt_hash, item.image_hash, *given)

    def probabilities(self, condition: str, flip: Flip) -> list[float] | None:
        values = self.entry.table.option_probabilities(condition, self.places[flip.item_id])
        return None if values is None else [round(value, _DIGITS) for value in values]


def choose(entry: Entry, allowance: int) -> Chosen:
    """At most `allowance` flips of an entry: headline conditions first, the same share for each that has as many."""
    edits = sorted((condition.name for condition in entry.edits), key=lambda edit: edit not in entry.headlines)
    changed = {edit: flips(entry.table, edit) for edit in edits}
    sizes, n_headline = [len(own) for own in changed.values()], sum(edit in entry.headlines for edit in edits)
    counts = shares(sizes[:n_headline], allowance)
    counts += shares(sizes[n_headline:], allowance - sum(counts))
    shown = {edit: evenly(changed[edit], count) for edit, count in zip(edits, counts, strict=True)}
    return Chosen(entry, dict(zip(edits, sizes, strict=True)), shown)


def shares(sizes: Sequence[int], allowance: int) -> list[int]:
    """How much each gets of an allowance: all it has, or else as much as any other gets."""
    found = [0] * len(sizes)
    left = allowance
    for done, place in enumerate(sorted(range(len(sizes)), key=lambda place: sizes[place])):
        found[place] = min(sizes[place], left // (len(sizes) - done))
        left -= found[place]
    return found


def evenly(values: Sequence[T], n: int) -> tuple[T, ...]:
    """`n` of the values at equal steps, in their order; all of them if there are no more."""
    assert 0 <= n <= len(values)
    return tuple(values[place * len(values) // n] for place in range(n))


def gallery_views(
    board: Board, *, most_flips: int = MOST_FLIPS, most_picture_chars: int = MOST_PICTURE_CHARS
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What all entries share, and one view for each. The same board gives the same data. Raises DataError as
    `item_view` does."""
    chosen = [choose(entry, most_flips // max(1, len(board.entries))) for entry in board.entries]
    synthetic = board.spec.tasks_of("synthetic")
    asked: dict[Key, tuple[Flip, ItemView]] = {}
    wanted: Counter[Key] = Counter()
    for each in chosen:
        for flip in each.flips:
            key = each.key(flip)
            if key not in asked:
                asked[key] = flip, item_view(each.entry, each.places[flip.item_id], is_synthetic=flip.task in synthetic)
            wanted[key] += 1
    tasks = _places([*board.spec.tasks, *(flip.task for flip, _ in asked.values())])
    present = {flip.level for flip, _ in asked.values() if flip.level is not None}
    # Those of the benchmark in its order, then others.
    levels = _places([*(level for level in LEVELS if level in present), *sorted(present)])
    order = sorted(asked, key=lambda key: (tasks[asked[key][0].task], levels.get(asked[key][0].level or "", -1), key))
    kept = _affordable([asked[key][1] for key in sorted(order, key=lambda key: -wanted[key])], most_picture_chars)
    items = [asked[key][0] for key in order]
    views = [asked[key][1] for key in order]
    pictures = _places(view.picture for view in views if view.picture in kept)
    absent = [(LEFT_OUT if view.picture else view.absent) if view.picture not in kept else None for view in views]
    reasons = _places(reason for reason in absent if reason)
    letters = _places(each.item(flip).options for each in chosen for flip in each.flips)
    shared = {
        "kinds": list(KIND_WORDS.values()),
        "tasks": list(map(name, tasks)),
        "levels": list(map(name, levels)),
        "letters": list(letters),
        "reasons": list(reasons),
        "items": {
            "id": [flip.item_id for flip in items],
            "task": [tasks[flip.task] for flip in items],
            "level": [levels.get(flip.level) for flip in items],
            "question": [view.question for view in views],
            "options": [view.options for view in views],
            "gold": [flip.gold for flip in items],
            "picture": [pictures.get(view.picture) for view in views],
            "reason": [reasons.get(reason) for reason in absent],
        },
    }
    texts = {"sources": [picture.src for picture in pictures], "alts": everywhere([p.alt for p in pictures])}
    return {**everywhere(shared), **texts}, [_view(each, _places(order), letters) for each in chosen]


def _places(values: Iterable[Any]) -> dict[Any, int]:
    """Each value once, in the order in which they come -> its place."""
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


def _affordable(views: Iterable[ItemView], chars: int) -> set[Picture | None]:
    """As many pictures as `chars` allow, the first first."""
    kept: set[Picture | None] = set()
    for picture in (view.picture for view in views):
        if picture is not None and picture not in kept and len(picture.src) <= chars:
            kept.add(picture)
            chars -= len(picture.src)
    return kept


def _view(chosen: Chosen, items: dict[Key, int], letters: dict[tuple[str, ...], int]) -> dict[str, Any]:
    places = _places(condition.name for condition in chosen.entry.conditions)
    one_each = sorted({flip.item_id: flip for flip in chosen.flips}.values(), key=lambda f: chosen.places[f.item_id])
    rows = _places(flip.item_id for flip in one_each)
    shown = [(place, edit, flip) for place, (edit, own) in enumerate(chosen.shown.items()) for flip in own]
    return {
        "conditions": [
            {"name": name(edit), "place": places[edit], "n_flips": n_flips, "n_shown": len(chosen.shown[edit])}
            for edit, n_flips in chosen.n_flips.items()
        ],
        "items": {
            "item": [items[chosen.key(flip)] for flip in one_each],
            "before": everywhere([flip.before for flip in one_each]),
            "letters": [letters[chosen.item(flip).options] for flip in one_each],
            "p_before": [chosen.probabilities(BASELINE, flip) for flip in one_each],
        },
        "flips": {
            "condition": [place for place, _, _ in shown],
            "row": [rows[flip.item_id] for _, _, flip in shown],
            "after": everywhere([flip.after for _, _, flip in shown]),
            "kind": [_KINDS.index(flip.change) for _, _, flip in shown],
            "p_after": [chosen.probabilities(edit, flip) for _, edit, flip in shown],
        },
    }
