"""What a reader sees first: what the board asks, who is ahead, and what its entries are called."""

from __future__ import annotations

from collections import Counter
from typing import Any

from vsc_eval.board.board import Board
from vsc_eval.board.page.entry_view import READOUTS
from vsc_eval.board.tables.models import BoardView
from vsc_eval.tables.clean import name, plain
from vsc_eval.tables.numbers import counted, percent, with_interval

_MOST_LEADERS = 3


def entry_names(view: BoardView) -> list[str]:
    """What each entry is called, as in the tables; the end of its id where two would read the same."""
    shown = [(entry, name(view.labels[entry.id])) for entry in view.board.entries]
    counts = Counter(label for _, label in shown)
    return [label if counts[label] == 1 else f"{label} · {entry.asked}" for entry, label in shown]


def in_a_sentence(board: Board) -> str:
    """What the board is, for one whose board.yaml does not say."""
    spec = board.spec
    kinds = (len(spec.tasks_of("synthetic")), "synthetic task"), (len(spec.tasks_of("external")), "external data set")
    parts = [counted(n, words) for n, words in kinds if n]
    n = counted(spec.n_items, "item")
    edits = any(entry.edits for entry in board.entries)
    return (
        f"Vision-language models answer the same {n} of {' and '.join(parts)}"
        f"{', as they are and while features inside them are edited' if edits else ''}."
    )


def leaders(view: BoardView) -> dict[str, Any]:
    """The template's `leaders`: (name, id of an entry, accuracy with its interval) of all that have the first place."""
    found = [
        (name(each.model.label), each.model.ids[0], with_interval(each.all.accuracy, percent))
        for each in view.ranking
        if each.rank.rank == 1
    ]
    left_out = len(found) - _MOST_LEADERS
    return {
        "leaders": found[:_MOST_LEADERS],
        "leaders_words": "Most accurate without edits:"
        if len(found) == 1
        else "Most accurate without edits, not told apart by their intervals:",
        "leaders_more": f"; and {left_out:,} more" if left_out > 0 else "",
    }


def facts(board: Board) -> list[tuple[str, str]]:
    """Labels and values of what is asked."""
    tasks, synthetic = board.spec.tasks, board.spec.tasks_of("synthetic")
    found = [("Entries", f"{len(board.entries):,}"), ("Items", f"{board.spec.n_items:,}")]
    if synthetic:
        levels = {level for task in synthetic for level in tasks[task].levels}
        found.append(("Synthetic tasks", f"{len(synthetic)} at {counted(len(levels), 'level')}"))
    if len(synthetic) < len(tasks):
        found.append(("External data sets", str(len(tasks) - len(synthetic))))
    found.append(("Answers read by", READOUTS[board.spec.scoring]))
    if board.spec.generator_version is not None:
        found.append(("Generator version", board.spec.generator_version))
    return [(label, plain(text, limit=200)) for label, text in found]
