"""What the page's gallery needs of a board, as plain data for JSON.

    {
      "kinds": ["right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid"],
      "tasks": ["counting", ...],              # in the board's order
      "levels": ["easy", ...],
      "letters": [["A", "B", "C", "D"], []],   # what probabilities are of; [] where there are none
      "pictures": [{"src": "data:image/png;base64,...", "alt": "4 shapes on a plain background; ..."}, ...],
      "reasons": ["No picture was published for this item.", ...],
      "items": {                               # by column; the same item of several entries is there once
        "id": ["test/counting/easy/00000/A", ...],
        "task": [0, ...],                      # place in `tasks`
        "level": [0, null, ...],               # place in `levels`
        "question": ["How many ...", ""],      # "" where it is not known
        "options": [["1", "2", "3", "4"], []], # texts in the order of the letters; [] where they are not known
        "gold": ["A", ...],
        "picture": [0, null, ...],             # place in `pictures`
        "reason": [null, 0, ...]               # place in `reasons`: why there is no picture
      },
      "entries": [{                            # in the board's order; entries without edits are there, with nothing
        "id": "model-a-0123456789",
        "name": "model-a",
        "conditions": [{                       # headline ones first, then in the entry's order
          "name": "counting", "edit": "scale=4", "is_headline": true,
          "n_flips": 210, "n_shown": 60        # of many flips only some are in the page, evenly over the items
        }, ...],
        "items": {                             # items of this entry that some shown flip is of
          "item": [17, ...],                   # place in the shared items
          "before": ["A", ...],                # the baseline's answer
          "letters": [0, ...],                 # place in `letters`
          "p_before": [[0.7, 0.1, 0.1, 0.1], null, ...]   # over the whole vocabulary: they need not add up to 1
        },
        "flips": {                             # by condition, then in the order of the items
          "condition": [0, ...],               # place in the entry's conditions
          "row": [0, ...],                     # place in the entry's items
          "after": ["B", ...],
          "kind": [0, ...],                    # place in `kinds`
          "p_after": [[0.2, 0.6, 0.1, 0.1], null, ...]
        }
      }, ...]
    }

All strings are as entries and data sets give them; the page escapes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from vsc_eval.analysis.flips import Change, Flip
from vsc_eval.board.board import Board
from vsc_eval.board.gallery.choose import Chosen, choose
from vsc_eval.board.gallery.pictures import ItemView, Picture, item_view
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import LEVELS

LEFT_OUT = "The picture was left out to keep the page small."
_DIGITS = 3


@dataclass(frozen=True)
class Limits:
    """How much of a board's flips its page holds."""

    flips: int = 40_000
    picture_chars: int = 8_000_000
    """Of all data URIs together."""


KINDS: tuple[Change, ...] = get_args(Change)

Key = tuple[str, ...]
"""What makes an item the same item in two entries: how it was asked, and what is shown of it."""


def gallery_data(board: Board, limits: Limits | None = None) -> dict[str, Any]:
    """The same board gives the same data. Raises DataError as `item_view` does."""
    limits = limits or Limits()
    allowance = limits.flips // max(1, len(board.entries))
    chosen = [choose(entry, allowance) for entry in board.entries]
    synthetic = board.spec.tasks_of("synthetic")
    asked: dict[Key, tuple[Flip, ItemView]] = {}
    wanted: Counter[Key] = Counter()
    for each in chosen:
        for flip in each.all_flips():
            key = _key(each, flip)
            if key not in asked:
                asked[key] = flip, item_view(each.entry, each.places[flip.item_id], is_synthetic=flip.task in synthetic)
            wanted[key] += 1
    tasks = _names([*board.spec.tasks, *(flip.task for flip, _ in asked.values())])
    levels = _names(_levels([flip.level for flip, _ in asked.values()]))
    order = sorted(asked, key=lambda key: (tasks[asked[key][0].task], levels.get(asked[key][0].level or "", -1), key))
    kept = _affordable(asked, sorted(order, key=lambda key: -wanted[key]), limits.picture_chars)
    pictures = _names([picture for key in order if (picture := asked[key][1].picture) in kept and picture])
    letters = _names([_letters(each, flip) for each in chosen for flip in each.all_flips()])
    reasons = _names([reason for key in order if (reason := _reason(asked[key][1], kept))])
    places = _names(order)
    return {
        "kinds": list(KINDS),
        "tasks": list(tasks),
        "levels": list(levels),
        "letters": [list(each) for each in letters],
        "pictures": [{"src": picture.src, "alt": picture.alt} for picture in pictures],
        "reasons": list(reasons),
        "items": _items([asked[key] for key in order], tasks, levels, pictures, reasons),
        "entries": [_entry(each, places, letters) for each in chosen],
    }


def _key(chosen: Chosen, flip: Flip) -> Key:
    """Entries that show an item in other words or pictures do not lend them to each other."""
    item, shown = chosen.entry.table.items[chosen.places[flip.item_id]], chosen.entry.shown.get(flip.item_id)
    given = () if shown is None else (shown.question, shown.picture or "")
    return (item.item_id, item.task, item.level or "", item.gold, item.prompt_hash, item.image_hash, *given)


def _letters(chosen: Chosen, flip: Flip) -> tuple[str, ...]:
    return chosen.entry.table.items[chosen.places[flip.item_id]].options


def _names(values: Sequence[Any]) -> dict[Any, int]:
    """Each value once, in the order in which they come -> its place."""
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


def _levels(found: Sequence[str | None]) -> list[str]:
    """Those of the benchmark in its order, then others."""
    present = [level for level in found if level is not None]
    return [level for level in LEVELS if level in present] + sorted(set(present) - set(LEVELS))


def _affordable(asked: dict[Key, tuple[Flip, ItemView]], order: Sequence[Key], chars: int) -> set[Picture]:
    """As many pictures as `chars` allow, those of the most flips first."""
    kept: set[Picture] = set()
    for key in order:
        picture = asked[key][1].picture
        if picture is not None and picture not in kept and len(picture.src) <= chars:
            kept.add(picture)
            chars -= len(picture.src)
    return kept


def _reason(view: ItemView, kept: set[Picture]) -> str:
    if view.picture is None:
        return view.absent
    return "" if view.picture in kept else LEFT_OUT


def _items(
    asked: Sequence[tuple[Flip, ItemView]],
    tasks: dict[str, int],
    levels: dict[str, int],
    pictures: dict[Picture, int],
    reasons: dict[str, int],
) -> dict[str, list[Any]]:
    kept = set(pictures)
    return {
        "id": [flip.item_id for flip, _ in asked],
        "task": [tasks[flip.task] for flip, _ in asked],
        "level": [None if flip.level is None else levels[flip.level] for flip, _ in asked],
        "question": [view.question for _, view in asked],
        "options": [list(view.options) for _, view in asked],
        "gold": [flip.gold for flip, _ in asked],
        "picture": [pictures.get(view.picture) if view.picture else None for _, view in asked],
        "reason": [reasons.get(_reason(view, kept)) for _, view in asked],
    }


def _entry(chosen: Chosen, items: dict[Key, int], letters: dict[tuple[str, ...], int]) -> dict[str, Any]:
    entry = chosen.entry
    one_each = sorted(
        {flip.item_id: flip for flip in chosen.all_flips()}.values(), key=lambda f: chosen.places[f.item_id]
    )
    rows = _names([flip.item_id for flip in one_each])
    shown = [(place, flip) for place, of_one in enumerate(chosen.flips) for flip in of_one]
    return {
        "id": entry.id,
        "name": entry.model.name,
        "conditions": [
            {
                "name": condition.name,
                "edit": condition.edit,
                "is_headline": condition.is_headline,
                "n_flips": n_flips,
                "n_shown": len(of_one),
            }
            for condition, n_flips, of_one in zip(chosen.conditions, chosen.n_flips, chosen.flips, strict=True)
        ],
        "items": {
            "item": [items[_key(chosen, flip)] for flip in one_each],
            "before": [flip.before for flip in one_each],
            "letters": [letters[_letters(chosen, flip)] for flip in one_each],
            "p_before": [_rounded(chosen.probabilities(BASELINE, flip.item_id)) for flip in one_each],
        },
        "flips": {
            "condition": [place for place, _ in shown],
            "row": [rows[flip.item_id] for _, flip in shown],
            "after": [flip.after for _, flip in shown],
            "kind": [KINDS.index(flip.change) for _, flip in shown],
            "p_after": [
                _rounded(chosen.probabilities(chosen.conditions[place].name, flip.item_id)) for place, flip in shown
            ],
        },
    }


def _rounded(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [round(value, _DIGITS) for value in values]
