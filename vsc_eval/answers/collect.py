"""Fill a table's answers while a model is asked, without keeping what it read as objects."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vsc_eval.answers.answer_table import COLUMNS, Answers
from vsc_eval.records import Reading

Interpret = Callable[[int, Reading], tuple[str, str]]
"""(place of the item, what the model gave) -> (the answer as read, the answer as it counts)."""

_FIELDS = tuple(name for name in COLUMNS if name in Reading.model_fields)
"""Columns that a Reading has."""


class AnswerCollector:
    """`names` are the conditions; every item must be added under each of them before `result`."""

    def __init__(self, names: Sequence[str], n_items: int, n_options: int, interpret: Interpret) -> None:
        self.names, self._interpret = tuple(names), interpret
        self._rows = {name: row for row, name in enumerate(self.names)}
        self._words: dict[str, int] = {}
        shape = (len(self.names), n_items)
        self._read, self._answer = (np.full(shape, -1, dtype=np.int32) for _ in range(2))
        self._logprobs = np.full((*shape, n_options), np.nan, dtype=np.float32)
        self._columns: dict[str, npt.NDArray[Any]] = {}

    def add(self, places: Sequence[int], answers: Mapping[str, Sequence[Reading]]) -> None:
        """What the items at `places` were answered under some of the conditions."""
        for name, column in answers.items():
            row = self._rows[name]
            for place, reading in zip(places, column, strict=True):
                read, counted = self._interpret(place, reading)
                self._read[row, place] = self._words.setdefault(read, len(self._words))
                self._answer[row, place] = self._words.setdefault(counted, len(self._words))
                if reading.option_logprobs is not None:
                    self._logprobs[row, place, : len(reading.option_logprobs)] = reading.option_logprobs
                values = {key: getattr(reading, key) for key in _FIELDS}
                values["n_new_tokens"] = None if reading.text is None else len(reading.token_ids)
                for key, value in values.items():
                    if value is not None:
                        if key not in self._columns:
                            self._columns[key] = np.full(self._read.shape, *COLUMNS[key])
                        self._columns[key][row, place] = value

    def result(self) -> Answers:
        """The answers."""
        assert (self._answer >= 0).all(), "an item was not asked under every condition"
        return Answers(
            names=self.names,
            vocabulary=tuple(self._words),
            read=self._read,
            answer=self._answer,
            option_logprobs=self._logprobs,
            columns={name: self._columns[name] for name in COLUMNS if name in self._columns},
        ).in_order()
