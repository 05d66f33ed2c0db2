"""The table of answers: what each item was answered under each condition. All that is computed later starts here.

In memory a table is columns of [conditions, items]; parquet.py writes it as rows, one an item and condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vsc_eval.extract import INVALID
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec

Codes = npt.NDArray[np.int32]
"""Places in a vocabulary."""
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]
Scoring = Literal["loglikelihood", "generate"]
Role = Literal["baseline", "single", "combined", "norm_matched"]
"""combined: an edit of two or more sets; norm_matched: the same held to the size of its parts."""
Pass = Literal["main", "other_batches", "generated"]
"""main: every condition; other_batches: the baseline once more in other batches, for the noise floor; generated: the
same items by the other scoring."""

TEXT_COLUMNS = ("text", "thought", "finish_reason")
"""Texts of an answer, None where it has none."""

COUNT_COLUMNS = ("top_token_id", "n_new_tokens", "n_thought_tokens", "n_edited_tokens", "n_fires")
"""Whole numbers of an answer, -1 where it has none."""

FLOAT_COLUMNS = (
    "kl_options",
    "kl_vocab",
    "shift_edited",
    "shift_last",
    "shift_image",
    "shift_question",
    "shift_template",
    "shift_answer",
    "option_logprobs_sum",
)
"""Figures of an answer, NaN where it has none; defined in records.Reading."""

COLUMNS: Mapping[str, tuple[Any, type]] = {
    **dict.fromkeys(TEXT_COLUMNS, (None, object)),
    **dict.fromkeys(COUNT_COLUMNS, (-1, np.int64)),
    **dict.fromkeys(FLOAT_COLUMNS, (np.nan, np.float64)),
}
"""Column -> how a missing value is written in memory, and the type."""


@dataclass(frozen=True, kw_only=True)
class AskedItem:
    """An item, how it was asked and what is right: the same under all conditions. The fields are the columns of
    items.parquet, in their order."""

    item_id: str
    doc_id: int | None = None
    """lm-eval's number of the document within its task."""
    task: str
    """Task of the benchmark (`counting`), or the name of the task file for other data."""
    level: str | None = None
    split: str | None = None
    cluster: str
    """Items of one cluster are dependent: the orbit, or the image for other data."""
    cluster_kind: str = "orbit"
    """What the cluster is: `orbit`, `image`, `group`, a column's name, or `item` where every item is its own."""
    group: str | None = None
    """Items that are scored together; unique within the task."""
    group_size: int = 0
    """Items of the group when it is whole."""
    categories: tuple[tuple[str, str], ...] = ()
    """(column, value) of those that the task file reports by."""
    fields: tuple[tuple[str, str], ...] = ()
    """(column, value) of those that the official metric needs."""
    gold: str
    gold_index: int | None = None
    """Place of the right option among the options; None for an item without options."""
    accepted: tuple[str, ...] = ()
    """All right answers, where there may be several."""
    score: str | None = None
    """The official metric of the data set."""
    options: tuple[str, ...] = ()
    """The letters that `option_logprobs` are of, in their order."""
    scoring: Scoring = "loglikelihood"
    max_new_tokens: int | None = None
    """None for `loglikelihood`, which writes no tokens."""
    stops: tuple[str, ...] = ()
    """Strings that end a generated text."""
    prompt_hash: str = ""
    """See hashes.prompt_hash: of the question's text, before the chat template, without the letters."""
    image_hash: str = ""
    """See hashes.picture_hash: of all pixels, before the processor."""
    messages: str | None = None
    """The conversation as JSON, pictures by hash; None where it may not be shown."""


@dataclass(frozen=True)
class AskedCondition:
    """A condition of the table and what the statistics need to know of it."""

    spec: ConditionSpec
    content_hash: str = BASELINE
    """Of sets, SAE and edit together; `baseline` without an edit."""
    targets: tuple[str, ...] | None = None
    """The tasks that its sets were selected for; None where a set names none."""
    control_kind: str | None = None
    """Kind of a control draw; None for a condition of the user's."""
    draw: int | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def role(self) -> Role:
        if self.spec.edit is None:
            return "baseline"
        if len(self.spec.sets) == 1:
            return "single"
        return "norm_matched" if self.spec.edit.norm_match else "combined"

    @property
    def described(self) -> dict[str, Any]:
        """What files and frames say of it beside its sets."""
        edit = self.spec.edit
        return {
            "condition": self.name,
            "role": self.role,
            "edit_kind": edit and edit.kind,
            "alpha": edit and edit.strength,
            "positions": edit and edit.positions,
            "norm_match": edit and edit.norm_match and edit.norm_match.reference,
        }

    @property
    def edit(self) -> str | None:
        """The edit as the condition's expression writes it (`scale=4`), norm matching aside; by its kind, strength and
        positions where the name is no expression with an edit. None for the baseline."""
        edit = self.spec.edit
        if edit is None:
            return None
        written = [part for part in self.name.split(":")[1:] if not part.startswith("norm=")]
        if written:
            return ":".join(written)
        words = edit.kind if edit.value is None else f"{edit.kind}={edit.value:g}"
        return words if edit.positions == "all" else f"{words}:{edit.positions}"


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of one pass, [conditions, items] each; rows are `names`."""

    names: tuple[str, ...]
    vocabulary: tuple[str, ...]
    """The words that `read` and `answer` are places in."""
    read: Codes
    """As the answer was read."""
    answer: Codes
    """As it counts: a right one is the gold, however it was written; `invalid` where nothing could be read."""
    option_logprobs: npt.NDArray[np.float32]
    """[conditions, items, options]: log-probability (nats, full vocabulary) at the first answer token, as the model
    gives it; NaN beyond an item's options."""
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Of COLUMNS, those that have a value anywhere."""

    def __post_init__(self) -> None:
        assert len(set(self.names)) == len(self.names), "two conditions of one name"
        shapes = {self.read.shape, self.answer.shape, self.option_logprobs.shape[:2]}
        shapes |= {column.shape for column in self.columns.values()}
        assert len(shapes) == 1, shapes
        assert self.answer.shape[0] == len(self.names), (self.answer.shape, len(self.names))

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Row of each condition."""
        return {name: row for row, name in enumerate(self.names)}

    def float_column(self, name: str) -> Floats:
        """One figure [conditions, items], NaN where there is none."""
        found = self.columns.get(name)
        return np.full(self.answer.shape, np.nan) if found is None else found

    def in_order(self) -> Answers:
        """The same with a vocabulary that is sorted, so that it does not tell in which order answers came."""
        words = sorted(self.vocabulary)
        new = np.array([words.index(word) for word in self.vocabulary], dtype=np.int32)
        return replace(self, vocabulary=tuple(words), read=new[self.read], answer=new[self.answer])

    def take(self, rows: Sequence[int] | slice, items: Mask | Codes | slice = slice(None)) -> Answers:
        """Some conditions and items, in the order that they are named."""
        return Answers(
            names=self.names[rows] if isinstance(rows, slice) else tuple(self.names[row] for row in rows),
            vocabulary=self.vocabulary,
            read=self.read[rows][:, items],
            answer=self.answer[rows][:, items],
            option_logprobs=self.option_logprobs[rows][:, items],
            columns={name: column[rows][:, items] for name, column in self.columns.items()},
        )


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """Items, conditions, and the answers of each pass. The first condition of `main` is the baseline."""

    items: tuple[AskedItem, ...]
    conditions: tuple[AskedCondition, ...]
    """Those of `main`, in the order of its rows."""
    main: Answers
    passes: Mapping[Pass, Answers] = field(default_factory=dict)
    """The other passes."""

    def __post_init__(self) -> None:
        assert self.main.names == tuple(condition.name for condition in self.conditions)
        assert self.main.names[0] == BASELINE, self.main.names
        for part in (self.main, *self.passes.values()):
            assert part.answer.shape[1] == len(self.items), (part.answer.shape, len(self.items))

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions of `main`."""
        return self.main.names

    def condition(self, name: str) -> AskedCondition:
        """The condition of that name; KeyError if there is none."""
        return self.conditions[self.main.rows[name]]

    def column(self, key: str) -> Strings:
        """One field of all items [items], None as ""."""
        return np.array([getattr(item, key) or "" for item in self.items], dtype=np.str_)

    @cached_property
    def clusters(self) -> Strings:
        return self.column("cluster")

    @property
    def cluster_name(self) -> str:
        """What the clusters are, for the name of a method."""
        return " or ".join(dict.fromkeys(item.cluster_kind for item in self.items))

    @cached_property
    def gold(self) -> Codes:
        """The right answers as places in the vocabulary of `main` [items]; -1 for one that no condition gave."""
        place = {word: code for code, word in enumerate(self.main.vocabulary)}
        return np.array([place.get(item.gold, -1) for item in self.items], dtype=np.int32)

    def codes(self, names: Sequence[str]) -> Codes:
        """Answers of these conditions [conditions, items]."""
        return self.main.answer[[self.main.rows[name] for name in names]]

    def words(self, name: str) -> tuple[str, ...]:
        """Answers of a condition as they count [items]."""
        return tuple(self.main.vocabulary[code] for code in self.main.answer[self.main.rows[name]].tolist())

    def right(self, names: Sequence[str]) -> Mask:
        """Which answers are right [conditions, items]."""
        return np.asarray(self.codes(names) == self.gold, dtype=np.bool_)

    def invalid(self, names: Sequence[str]) -> Mask:
        """Which answers could not be read [conditions, items]."""
        code = {word: code for code, word in enumerate(self.main.vocabulary)}.get(INVALID, -1)
        return np.asarray(self.codes(names) == code, dtype=np.bool_)

    def changed(self, names: Sequence[str]) -> Floats:
        """1 where the answer is another one than the baseline's, [conditions, items]."""
        return np.asarray(self.codes(names) != self.main.answer[0], dtype=np.float64)

    def gain(self, names: Sequence[str]) -> Floats:
        """right(condition) - right(baseline): -1, 0 or 1, [conditions, items]."""
        return self.right(names).astype(np.float64) - self.right([BASELINE]).astype(np.float64)

    def figures(self, key: str, names: Sequence[str]) -> Floats:
        """One of FLOAT_COLUMNS, [conditions, items], NaN where an answer has none."""
        return self.main.float_column(key)[[self.main.rows[name] for name in names]]

    def margins(self, names: Sequence[str]) -> Floats:
        """The gold option's log-probability less the best other's, nats [conditions, items]; NaN without options."""
        logprobs = self.main.option_logprobs[[self.main.rows[name] for name in names]].astype(np.float64)
        margins = np.full(logprobs.shape[:2], np.nan)
        if not logprobs.shape[2]:
            return margins
        # An item may have been asked without letters, where the model reads none as one token.
        golds = [-1 if i.gold_index is None or i.gold_index >= len(i.options) else i.gold_index for i in self.items]
        there = np.flatnonzero(np.array(golds) >= 0)
        places = np.array(golds)[there]
        others = np.where(np.isnan(logprobs), -np.inf, logprobs)[:, there]
        others[:, np.arange(len(there)), places] = -np.inf
        with np.errstate(invalid="ignore"):
            margins[:, there] = logprobs[:, there, places] - others.max(-1)
        margins[(~np.isnan(logprobs)).sum(-1) < 2] = np.nan
        return margins

    def option_probabilities(self, name: str, place: int) -> tuple[float, ...] | None:
        """Of each of an item's options at the first answer token, over the whole vocabulary; None where there are
        none."""
        values = self.main.option_logprobs[self.main.rows[name], place, : len(self.items[place].options)]
        return None if not len(values) or np.isnan(values).any() else tuple(np.exp(values.astype(float)).tolist())

    def under(self, names: Sequence[str]) -> AnswerTable:
        """Some of the conditions of `main`, the baseline first among them; the other passes stay as they are."""
        rows = [self.main.rows[name] for name in names]
        conditions = tuple(self.conditions[row] for row in rows)
        return replace(self, conditions=conditions, main=self.main.take(rows))

    def only(self, items: Mask | Codes) -> AnswerTable:
        """The masked items [items]; or those at these places, in their order."""
        places = np.flatnonzero(items) if items.dtype == np.bool_ else items
        return replace(
            self,
            items=tuple(self.items[place] for place in places.tolist()),
            main=self.main.take(slice(None), items),
            passes={name: part.take(slice(None), items) for name, part in self.passes.items()},
        )


Interpret = Callable[[int, Reading], tuple[str, str]]
"""(place of the item, what the model gave) -> (the answer as read, the answer as it counts)."""

_FIELDS = tuple(name for name in COLUMNS if name in Reading.model_fields)
"""Columns that a Reading has."""


class AnswerCollector:
    """Fills a table's answers while a model is asked, without keeping what it read as objects. `names` are the
    conditions; every item must be added under each of them before `result`."""

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
