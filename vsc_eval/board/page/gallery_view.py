"""The flip gallery's data with its texts made plain, split by entry: the browser reads what is looked at."""

from __future__ import annotations

from typing import Any

from vsc_eval.board.board import Board
from vsc_eval.board.gallery import gallery_data
from vsc_eval.tables.clean import everywhere, name

KIND_WORDS = {
    "right_to_wrong": "right to wrong",
    "wrong_to_right": "wrong to right",
    "wrong_to_other": "wrong to another wrong",
    "to_invalid": "became unreadable",
    "from_invalid": "became readable",
}


def gallery_views(board: Board) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(what all entries share, one view for each entry), as `gallery_data` describes them but for three things.

    Pictures' sources are in `sources` and their texts in `alts`; kinds are words; a condition has its `place` in the
    entry's own list. Raises DataError as `gallery_data` does.
    """
    data = gallery_data(board)
    pictures = data.pop("pictures")
    entries = data.pop("entries")
    shared = everywhere(data)
    shared["kinds"] = [KIND_WORDS[kind] for kind in data["kinds"]]
    shared["tasks"] = [name(task) for task in data["tasks"]]
    shared["levels"] = [name(level) for level in data["levels"]]
    shared["sources"] = [picture["src"] for picture in pictures]
    shared["alts"] = everywhere([picture["alt"] for picture in pictures])
    views = []
    for entry, view in zip(board.entries, entries, strict=True):
        places = {condition.name: place for place, condition in enumerate(entry.conditions)}
        conditions = [
            {
                "name": name(condition["name"]),
                "place": places[condition["name"]],
                "n_flips": condition["n_flips"],
                "n_shown": condition["n_shown"],
            }
            for condition in view["conditions"]
        ]
        views.append({"conditions": conditions, "items": everywhere(view["items"]), "flips": everywhere(view["flips"])})
    return shared, views
