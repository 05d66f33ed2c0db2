"""Pair two runs item by item, and refuse what is not comparable: by name, with a count, examples and the fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vsc_eval.analysis.compare.records import Dropped
from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.errors import SpecError
from vsc_eval.extract import INVALID

_SAME_DATA = "Run both with the same task files, the same data and the same version of vsc-eval."
_SAME_SETTINGS = "Run both with the same --scoring and --max-new-tokens."
_COMMON = "Give --common to compare the items of both only, or run both on the same items."
_EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class PairedTables:
    """The items of both runs in A's order, and one vocabulary for both."""

    a: AnswerTable
    b: AnswerTable

    @classmethod
    def of(cls, a: AnswerTable, b: AnswerTable) -> PairedTables:
        words = sorted({*a.main.vocabulary, *b.main.vocabulary})
        return cls(_recoded(a, words), _recoded(b, words))


def _recoded(table: AnswerTable, words: Sequence[str]) -> AnswerTable:
    place = {word: code for code, word in enumerate(words)}
    codes = np.array([place[word] for word in table.main.vocabulary], dtype=np.int32)
    read, answer = codes[table.main.read], codes[table.main.answer]
    return replace(table, main=replace(table.main, vocabulary=tuple(words), read=read, answer=answer))


def pair_items(a: FinishedRun, b: FinishedRun, *, common: bool) -> tuple[PairedTables, Dropped | None]:
    """The items of both, and what was dropped for it. Raises SpecError, naming all reasons, if they do not compare."""
    problems = []
    only_a = [name for name in a.places if name not in b.places]
    only_b = [name for name in b.places if name not in a.places]
    places = np.array([(a.places[name], b.places[name]) for name in a.places if name in b.places], dtype=np.int32)
    shared = [(a.table.items[x], b.table.items[y]) for x, y in places.tolist()]
    if not shared:
        raise SpecError(
            f"{a.path} and {b.path} have no item in common: A has {_some(only_a)}, B has {_some(only_b)}.",
            hint="Run both on the same tasks, with the same version of vsc-eval.",
        )
    if (only_a or only_b) and not common:
        for name, ids in (("A", only_a), ("B", only_b)):
            if ids:
                problems.append((f"items of {name} only: {_some(ids)}", _COMMON))
    problems += _generator_problems(a, b, [item for item, _ in shared])
    for what, value, hint in _CHECKS:
        wrong = [(x, y) for x, y in shared if value(x) != value(y)]
        if wrong:
            x, y = wrong[0]
            example = f"; '{x.item_id}': {_said(value(x))} in A, {_said(value(y))} in B"
            problems.append((f"{what}: {_some([x.item_id for x, _ in wrong], len(shared))}{example}", hint))
    wrong = [(x, y) for x, y in shared if _other_options(x, y)]
    if wrong:
        problems.append((f"other option letters: {_some([x.item_id for x, _ in wrong], len(shared))}", _SAME_DATA))
    invalid = [x.item_id for x, _ in shared if x.gold == INVALID]
    if invalid:
        problems.append((f"a right answer that is `{INVALID}`: {_some(invalid, len(shared))}", _SAME_DATA))
    _refuse(a, b, problems)
    dropped = None
    if only_a or only_b:
        dropped = Dropped(
            n_only_a=len(only_a), n_only_b=len(only_b), examples=(*only_a[:_EXAMPLES], *only_b[:_EXAMPLES])
        )
    return PairedTables.of(a.table.only(places[:, 0]), b.table.only(places[:, 1])), dropped


def _grouping(item: AskedItem) -> tuple[Any, ...]:
    return item.task, item.level, item.cluster, item.cluster_kind


def _settings(item: AskedItem) -> tuple[Any, ...]:
    return item.scoring, item.max_new_tokens, item.stops


_CHECKS: tuple[tuple[str, Callable[[AskedItem], Any], str], ...] = (
    ("another prompt", lambda item: item.prompt_hash, _SAME_DATA),
    ("another picture", lambda item: item.image_hash, _SAME_DATA),
    ("another right answer", lambda item: item.gold, _SAME_DATA),
    ("another task, level or cluster", _grouping, _SAME_DATA),
    ("another scoring or other generation settings", _settings, _SAME_SETTINGS),
)


def _other_options(a: AskedItem, b: AskedItem) -> bool:
    # A model whose tokenizer splits the letters has none of them for the `generate` scoring.
    return bool(a.options and b.options) and a.options != b.options


def _generator_problems(a: FinishedRun, b: FinishedRun, shared: Sequence[AskedItem]) -> list[tuple[str, str]]:
    """Other data than the synthetic benchmark's does not depend on its generator."""
    versions = a.hashes.get("generator_version"), b.hashes.get("generator_version")
    made = [item.item_id for item in shared if item.cluster_kind == "orbit"]
    if None in versions or versions[0] == versions[1] or not made:
        return []
    text = f"another version of the generator ({versions[0]} in A, {versions[1]} in B): {_some(made, len(shared))}"
    return [(text, "Run both with the same version of vsc-eval.")]


def _refuse(a: FinishedRun, b: FinishedRun, problems: Sequence[tuple[str, str]]) -> None:
    if problems:
        lines = "\n".join(f"  {text}" for text, _ in problems)
        raise SpecError(
            f"{a.path} (A) and {b.path} (B) cannot be compared:\n{lines}",
            hint=" ".join(dict.fromkeys(fix for _, fix in problems)),
        )


def _some(ids: Sequence[str], of: int | None = None) -> str:
    """`12 of 84 (id, id, id, ...)`."""
    more = ", ..." if len(ids) > _EXAMPLES else ""
    return f"{len(ids)}{f' of {of}' if of is not None else ''} ({', '.join(ids[:_EXAMPLES])}{more})"


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " / ".join("none" if part in (None, ()) else str(part) for part in value)
    return str(value)
