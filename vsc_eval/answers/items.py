"""items.jsonl: every item of a finished run on one line, so that runs can be compared without lm-eval or the model.

Reading and writing it needs no torch and no lm_eval. The file holds nothing that changes from one run of the same spec
to the next. Beside it, the section `items` of run.yaml says how many lines there are and what they hash to; it is
written last, so a run without it is unfinished.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from vsc_eval.answers.hashes import prompt_hash
from vsc_eval.files import replacing
from vsc_eval.records import Record

if TYPE_CHECKING:
    from vsc_eval.answers.table import AnswerTable

ITEMS_FILE = "items.jsonl"
ITEMS_SCHEMA_VERSION = 1


class Asked(Record):
    """How an item was asked; the same for all conditions of a run."""

    prompt_hash: str
    """First 16 hex digits of the sha256 of the question's text, before the chat template."""
    image_hash: str
    """First 16 hex digits of the sha256 of all pixels, before the processor; `none` without a picture."""
    options: tuple[str, ...] = ()
    """The letters that `option_logprobs` are of, in their order."""
    scoring: Literal["loglikelihood", "generate"]
    max_new_tokens: int | None = None
    """None for `loglikelihood`, which writes no tokens."""
    stops: tuple[str, ...] = ()
    """Strings that end a generated text."""


def asked(
    text: str,
    image_hash: str,
    options: Sequence[str],
    scoring: Literal["loglikelihood", "generate"],
    max_new_tokens: int | None,
    stops: Sequence[str] = (),
) -> Asked:
    """How the question `text` was asked. The hash leaves the letters out: a model whose tokenizer splits them is asked
    the same question."""
    return Asked(
        prompt_hash=prompt_hash(text),
        image_hash=image_hash,
        options=tuple(options),
        scoring=scoring,
        max_new_tokens=max_new_tokens if scoring == "generate" else None,
        stops=tuple(stops),
    )


class ItemLine(BaseModel):
    """One line of items.jsonl. Keys that are not named here are left unread, so that a writer may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    task: str
    level: str | None = None
    cluster: str
    """Items of one cluster are dependent."""
    cluster_kind: str = "orbit"
    gold: str
    asked: Asked
    answers: dict[str, str]
    """Condition -> parsed answer, `invalid` where none could be read."""
    option_logprobs: dict[str, tuple[float | None, ...] | None] = {}
    """Condition -> log-probability (nats) of each of `asked.options` at the first answer token; a null inside stands
    for -infinity, which JSON cannot write; null or absent where there are none."""


class ItemsStamp(Record):
    """Section `items` of run.yaml."""

    schema_version: int = ITEMS_SCHEMA_VERSION
    n_items: int
    sha256: str | None = None
    """Of the file's bytes; a writer that leaves it out gives up the check for damage."""


def item_lines(table: AnswerTable, how: Sequence[Asked]) -> Iterator[ItemLine]:
    """The lines of a sweep; `how` is in the order of the table's items."""
    for row, (item, question) in enumerate(zip(table.items, how, strict=True)):
        readings = {name: column[row].option_logprobs for name, column in table.readings.items()}
        yield ItemLine(
            id=item.item_id,
            task=item.task,
            level=item.level,
            cluster=item.cluster,
            cluster_kind=item.cluster_kind,
            gold=item.gold,
            asked=question,
            answers={name: column[row] for name, column in table.answers.items()},
            option_logprobs={name: _writable(values) for name, values in readings.items() if values is not None},
        )


def write_items(folder: Path, lines: Iterable[ItemLine]) -> dict[str, Any]:
    """Write items.jsonl at once or not at all; returns the section `items` for run.yaml.

    Raises BackendError if it cannot be written.
    """
    digest, n_items = hashlib.sha256(), 0
    with replacing(folder / ITEMS_FILE) as partial, partial.open("wb") as file:
        for line in lines:
            payload = line.model_dump_json().encode() + b"\n"
            digest.update(payload)
            file.write(payload)
            n_items += 1
    return ItemsStamp(n_items=n_items, sha256=digest.hexdigest()).model_dump(mode="json")


def logprobs_of(line: ItemLine, condition: str) -> tuple[float, ...] | None:
    """The option log-probabilities of one line with -infinity where the file has null; None where it has none."""
    values = line.option_logprobs.get(condition)
    return None if values is None else tuple(-math.inf if value is None else value for value in values)


def _writable(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(None if value == -math.inf else float(value) for value in values)
