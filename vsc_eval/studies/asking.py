"""Ask the engine about items under many conditions, and keep what was answered as arrays.

Chunk by chunk through the answer store: a killed run loses one chunk, and at no time are the pictures or readings of
more than one chunk in memory, nor the compiled conditions of more than one slice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.hf.engine import GenSettings
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.session import Session
from vsc_eval.features.benchmark import to_prompt
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec
from vsc_eval.studies.answered import READING_FIELDS, AnsweredItem, AnsweredItems
from vsc_eval.synthetic import LETTERS, Item

SLICE = 256
"""Conditions that are asked in one pass. Each slice runs the layers up to the edited one and the baseline anew, which
costs about as much as ten conditions."""

CHOICE = GenSettings(scoring="loglikelihood")

Compile = Callable[[ConditionSpec], CompiledCondition]
Progress = Callable[[int, int], None]
"""Called with (answers computed, answers to compute); stored ones count in neither."""


@dataclass(frozen=True)
class Respondent:
    """A model with its engine, and where its answers are kept."""

    vlm: LoadedVLM
    engine: AnswerEngine
    store: AnswerStore

    def session(self, conditions: Sequence[ConditionSpec], compile_: Compile) -> Session:
        compiled = {condition.name: compile_(condition).to(self.vlm.device) for condition in conditions}
        return Session(vlm=self.vlm, engine=self.engine, store=self.store, conditions=compiled, settings=CHOICE)


def ask(
    respondent: Respondent,
    items: Sequence[Item],
    conditions: Sequence[ConditionSpec],
    compile_: Compile,
    progress: Progress,
    *,
    order: Sequence[int] | None = None,
    apart: Collection[str] = (),
) -> AnsweredItems:
    """What every item is answered under the baseline and each condition, by the option letters' log-probabilities.

    Items of similar length are asked together, or those that follow each other in `order`; always the same, so that a
    run that goes on computes what it would have computed. Those whose ids are in `apart` are asked in batches of their
    own, just as they are where they are all that is asked. Raises as Session.readings does.
    """
    answers = _Collected(items, [BASELINE, *(condition.name for condition in conditions)])
    counter = _Counter(len(items) * len(answers.names), progress)
    chunks = list(_chunks(items, respondent.engine.batch_size, order, apart))
    for number, part in enumerate(_slices(conditions)):
        session = respondent.session(part, compile_)
        # Every session has the baseline; its row is written by the first.
        names = list(session.conditions)[1 if number else 0 :]
        for chunk in chunks:
            prompts = [to_prompt(items[index]) for index in chunk]
            answers.add(chunk, session.readings(prompts, names, progress=counter.computed))
            answers.image_hashes.update(
                {index: prompt.image_hash for index, prompt in zip(chunk, prompts, strict=True)}
            )
            counter.answered(len(chunk) * len(names))
    return answers.result()


def _chunks(
    items: Sequence[Item], size: int, order: Sequence[int] | None, apart: Collection[str]
) -> Iterator[Sequence[int]]:
    """Places of the items of each batch."""
    if order is None:
        order = sorted(range(len(items)), key=lambda index: (len(items[index].prompt), index))
    for side in (True, False):
        group = [index for index in order if (items[index].id in apart) is side]
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _slices(conditions: Sequence[ConditionSpec]) -> Iterator[Sequence[ConditionSpec]]:
    """As few slices as there must be, of about the same length; an empty one if there is nothing but the baseline."""
    n_slices = max(1, -(-len(conditions) // SLICE))
    edges = [len(conditions) * number // n_slices for number in range(n_slices + 1)]
    for start, end in pairwise(edges):
        yield conditions[start:end]


class _Collected:
    """The arrays of AnsweredItems while they are filled."""

    def __init__(self, items: Sequence[Item], names: Sequence[str]) -> None:
        assert len(set(names)) == len(names), "two conditions of one name"
        self.items = items
        self.names = {name: row for row, name in enumerate(names)}
        self.logprobs = np.full((len(names), len(items), len(LETTERS)), np.nan)
        self.readings = {field: np.full((len(names), len(items)), np.nan) for field in READING_FIELDS}
        self.image_hashes: dict[int, str] = {}

    def add(self, chunk: Sequence[int], answers: dict[str, list[Reading]]) -> None:
        for name, column in answers.items():
            row = self.names[name]
            for index, reading in zip(chunk, column, strict=True):
                self.logprobs[row, index] = reading.option_logprobs
                for field, table in self.readings.items():
                    value = getattr(reading, field)
                    table[row, index] = np.nan if value is None else value

    def result(self) -> AnsweredItems:
        assert not np.isnan(self.logprobs).any(), "an item was not asked under every condition"
        return AnsweredItems(
            items=tuple(AnsweredItem.of(item, self.image_hashes[index]) for index, item in enumerate(self.items)),
            conditions=tuple(self.names),
            logprobs=self.logprobs,
            readings=self.readings,
        )


class _Counter:
    """Tells computed answers from stored ones, so that the time left is right in a run that goes on."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.left = total
        self.done = 0
        self.now = 0
        self.progress = progress

    def computed(self, done: int, _total: int) -> None:
        """`done` answers of the present chunk have been computed."""
        self.now = done
        self.progress(self.done + done, self.done + self.left)

    def answered(self, n: int) -> None:
        """The chunk's `n` answers are there, whether computed or stored."""
        self.left -= n
        self.done += self.now
        if self.now < n:
            self.progress(self.done, self.done + self.left)
        self.now = 0
