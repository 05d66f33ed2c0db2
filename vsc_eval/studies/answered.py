"""A study's tables of answers in the arrays that its statistics read."""

from __future__ import annotations

import numpy as np

from vsc_eval.answers.answer_table import Answers, AnswerTable
from vsc_eval.studies.arrays import AnswerArrays, Codes, ReadingArrays
from vsc_eval.synthetic import LETTERS


def codes(answers: Answers) -> Codes:
    """Place of the chosen option [conditions, items]."""
    places = np.array([LETTERS.index(word) for word in answers.vocabulary], dtype=np.int8)
    found: Codes = places[answers.answer]
    return found


def answer_arrays(table: AnswerTable) -> AnswerArrays:
    """The answers, for the statistics."""
    return AnswerArrays(
        item_ids=tuple(item.item_id for item in table.items),
        clusters=table.clusters,
        tasks=table.column("task"),
        levels=table.column("level"),
        gold=np.array([LETTERS.index(item.gold) for item in table.items], dtype=np.int8),
        answers=dict(zip(table.names, codes(table.main), strict=True)),
    )


def reading_arrays(table: AnswerTable) -> dict[str, ReadingArrays]:
    """Figures of each condition, for the statistics."""
    names = table.names
    margins = table.margins(names)
    figures = {key: table.figures(key, names) for key in ("kl_options", "kl_vocab", "shift_edited", "shift_last")}
    return {
        name: ReadingArrays(margin=margins[row], **{key: column[row] for key, column in figures.items()})
        for row, name in enumerate(names)
    }
