"""Fill a table's answers while a model is asked, without keeping what it read as objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vsc_eval.answers.answer_table import COUNT_COLUMNS, FLOAT_COLUMNS, TEXT_COLUMNS, Answers
from vsc_eval.records import Reading

Interpret = Callable[[int, Reading], tuple[str, str]]
"""(place of the item, what the model gave) -> (the answer as read, the answer as it counts)."""


_EMPTY: dict[tuple[str, ...], tuple[Any, type]] = {
    FLOAT_COLUMNS: (np.nan, np.float64),
    COUNT_COLUMNS: (-1, np.int64),
    TEXT_COLUMNS: (None, object),
}
"""Columns -> how one without a value is written, and its type."""


_FIELDS = tuple(name for names in _EMPTY for name in names if name in Reading.model_fields)
"""Columns that a Reading has."""


class AnswerCollector:
    """`names` are the conditions; every item must be added under each of them before `result`."""

    def __init__(self, names: Sequence[str], n_items: int, n_options: int, interpret: Interpret) -> None:
        self.names = tuple(names)
        self._rows = {name: row for row, name in enumerate(self.names)}
        self._interpret = interpret
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
                self._add(row, place, reading)

    def _add(self, row: int, place: int, reading: Reading) -> None:
        read, counted = self._interpret(place, reading)
        self._read[row, place] = self._words.setdefault(read, len(self._words))
        self._answer[row, place] = self._words.setdefault(counted, len(self._words))
        if reading.option_logprobs is not None:
            self._logprobs[row, place, : len(reading.option_logprobs)] = reading.option_logprobs
        if reading.text is not None:
            self._column("n_new_tokens")[row, place] = len(reading.token_ids)
        for name in _FIELDS:
            value = getattr(reading, name)
            if value is not None:
                self._column(name)[row, place] = value

    def _column(self, name: str) -> npt.NDArray[Any]:
        """The column, made when it first has a value."""
        if name not in self._columns:
            missing, kind = next(empty for names, empty in _EMPTY.items() if name in names)
            self._columns[name] = np.full(self._read.shape, missing, dtype=kind)
        return self._columns[name]

    def _chosen(self, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        return {name: self._columns[name] for name in names if name in self._columns}

    def result(self) -> Answers:
        """The answers."""
        assert (self._answer >= 0).all(), "an item was not asked under every condition"
        return Answers(
            names=self.names,
            vocabulary=tuple(self._words),
            read=self._read,
            answer=self._answer,
            option_logprobs=self._logprobs,
            floats=self._chosen(FLOAT_COLUMNS),
            counts=self._chosen(COUNT_COLUMNS),
            texts=self._chosen(TEXT_COLUMNS),
        ).in_order()
