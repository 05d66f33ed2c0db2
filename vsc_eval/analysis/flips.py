"""Which answers a condition changed, and how."""

from typing import Literal, cast

import numpy as np

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.errors import SpecError, known_names
from vsc_eval.extract import INVALID
from vsc_eval.records import Record
from vsc_eval.stats.drift import change_parts

Change = Literal["right_to_wrong", "wrong_to_right", "wrong_to_other", "to_invalid", "from_invalid"]
"""The parts of drift; see stats.drift."""


class Flip(Record):
    """One item whose answer is another than the baseline's."""

    item_id: str
    task: str
    level: str | None
    gold: str
    before: str
    """The baseline's answer."""
    after: str
    change: Change


def flips(table: AnswerTable, condition: str) -> tuple[Flip, ...]:
    """The items that `condition` changed, in the table's order. Raises SpecError for an unknown condition."""
    if condition not in table.main.rows:
        raise SpecError(f"There is no condition '{condition}'.", hint=known_names("conditions", condition, table.names))
    words = table.main.vocabulary
    before, after = table.main.answer[0], table.main.answer[table.main.rows[condition]]
    parts = change_parts(before, after, table.gold, words.index(INVALID) if INVALID in words else -2)
    changes = sorted((place, change) for change, mask in parts.items() for place in np.flatnonzero(mask).tolist())
    return tuple(
        Flip(
            **{name: getattr(table.items[place], name) for name in ("item_id", "task", "level", "gold")},
            before=words[before[place]],
            after=words[after[place]],
            change=cast(Change, change),
        )
        for place, change in changes
    )
