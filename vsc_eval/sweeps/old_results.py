"""The table of answers in the shape of before, until the analysis reads the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vsc_eval.answers import table as old
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.items import asked, item_lines, write_items
from vsc_eval.records import Reading

_FIGURES = ("kl_options", "kl_vocab", "shift_edited", "shift_last")


def old_table(table: AnswerTable) -> old.AnswerTable:
    keys = old.ItemInfo.__dataclass_fields__
    words = table.main.vocabulary
    figures = {name: table.main.float_column(name) for name in _FIGURES}

    def readings(row: int) -> tuple[Reading, ...]:
        found = []
        for place in range(len(table.items)):
            logprobs = table.main.option_logprobs[row, place]
            logprobs = logprobs[~np.isnan(logprobs)]
            values = {n: None if np.isnan(c[row, place]) else float(c[row, place]) for n, c in figures.items()}
            found.append(Reading(option_logprobs=tuple(map(float, logprobs)) if len(logprobs) else None, **values))
        return tuple(found)

    return old.AnswerTable(
        items=tuple(old.ItemInfo(**{key: getattr(item, key) for key in keys}) for item in table.items),
        answers={n: tuple(words[c] for c in table.main.answer[row]) for n, row in table.main.rows.items()},
        readings={n: readings(row) for n, row in table.main.rows.items()},
        read={n: tuple(words[c] for c in table.main.read[row]) for n, row in table.main.rows.items()},
    )


def write_items_file(folder: Path, table: AnswerTable) -> dict[str, Any]:
    how = [
        asked("", i.image_hash, i.options, i.scoring, i.max_new_tokens, i.stops).model_copy(
            update={"prompt_hash": i.prompt_hash}
        )
        for i in table.items
    ]
    return write_items(folder, item_lines(old_table(table), how))
