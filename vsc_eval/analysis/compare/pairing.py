"""Pair two runs item by item, and refuse what is not comparable: by name, with a count, examples and the fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.compare.records import Dropped
from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.answers.items import Asked, ItemLine
from vsc_eval.errors import SpecError
from vsc_eval.extract import INVALID

_SAME_DATA = "Run both with the same task files, the same data and the same version of vsc-eval."
_SAME_SETTINGS = "Run both with the same --scoring and --max-new-tokens."
_COMMON = "Give --common to compare the items of both only, or run both on the same items."
_EXAMPLES = 3


@dataclass(frozen=True)
class PairedItems:
    """Items of both runs in A's order; all arrays are [items]."""

    lines_a: tuple[ItemLine, ...]
    lines_b: tuple[ItemLine, ...]
    tasks: npt.NDArray[np.str_] = field(init=False)
    levels: npt.NDArray[np.str_] = field(init=False)
    clusters: npt.NDArray[np.str_] = field(init=False)
    gold: npt.NDArray[np.str_] = field(init=False)

    def __post_init__(self) -> None:
        columns: dict[str, Callable[[ItemLine], str]] = {
            "tasks": lambda line: line.task,
            "levels": lambda line: line.level or "",
            "clusters": lambda line: line.cluster,
            "gold": lambda line: line.gold,
        }
        for name, value in columns.items():
            object.__setattr__(self, name, np.array([value(line) for line in self.lines_a], dtype=np.str_))

    def __len__(self) -> int:
        return len(self.lines_a)

    @property
    def cluster_name(self) -> str:
        """What the clusters are, for the name of a method."""
        return " or ".join(dict.fromkeys(line.cluster_kind for line in self.lines_a))

    def asked_under(self, condition_a: str, condition_b: str) -> PairedItems:
        """The items that have an answer under `condition_a` in A and under `condition_b` in B."""
        both = zip(self.lines_a, self.lines_b, strict=True)
        keep = [(a, b) for a, b in both if condition_a in a.answers and condition_b in b.answers]
        if len(keep) == len(self):
            return self
        return PairedItems(tuple(a for a, _ in keep), tuple(b for _, b in keep))


def pair_items(a: FinishedRun, b: FinishedRun, *, common: bool) -> tuple[PairedItems, Dropped | None]:
    """The items of both, and what was dropped for it. Raises SpecError, naming all reasons, if they do not compare."""
    problems = []
    only_a = [line.id for line in a.lines if line.id not in b.by_id]
    only_b = [line.id for line in b.lines if line.id not in a.by_id]
    shared = [(line, b.by_id[line.id]) for line in a.lines if line.id in b.by_id]
    if not shared:
        raise SpecError(
            f"{a.path} and {b.path} have no item in common: A has {_some(only_a)}, B has {_some(only_b)}.",
            hint="Run both on the same tasks, with the same version of vsc-eval.",
        )
    if (only_a or only_b) and not common:
        for name, ids in (("A", only_a), ("B", only_b)):
            if ids:
                problems.append((f"items of {name} only: {_some(ids)}", _COMMON))
    problems += _generator_problems(a, b, [line for line, _ in shared])
    for what, value, hint in _CHECKS:
        wrong = [(x, y) for x, y in shared if value(x) != value(y)]
        if wrong:
            x, y = wrong[0]
            example = f"; '{x.id}': {_said(value(x))} in A, {_said(value(y))} in B"
            problems.append((f"{what}: {_some([x.id for x, _ in wrong], len(shared))}{example}", hint))
    wrong = [(x, y) for x, y in shared if _other_options(x.asked, y.asked)]
    if wrong:
        problems.append((f"other option letters: {_some([x.id for x, _ in wrong], len(shared))}", _SAME_DATA))
    invalid = [x.id for x, _ in shared if x.gold == INVALID]
    if invalid:
        problems.append((f"a right answer that is `{INVALID}`: {_some(invalid, len(shared))}", _SAME_DATA))
    _refuse(a, b, problems)
    dropped = None
    if only_a or only_b:
        dropped = Dropped(
            n_only_a=len(only_a), n_only_b=len(only_b), examples=(*only_a[:_EXAMPLES], *only_b[:_EXAMPLES])
        )
    return PairedItems(tuple(x for x, _ in shared), tuple(y for _, y in shared)), dropped


def check_asked_alike(
    a: FinishedRun, b: FinishedRun, items: PairedItems, condition_a: str, condition_b: str, *, common: bool
) -> None:
    """Raise SpecError if the two conditions were asked of other items, unless `common`, or have none in common."""
    pairs = [
        (line_a.id, condition_a in line_a.answers, condition_b in line_b.answers)
        for line_a, line_b in zip(items.lines_a, items.lines_b, strict=True)
    ]
    if not any(in_a and in_b for _, in_a, in_b in pairs):
        raise SpecError(
            f"No item was asked under '{condition_a}' in {a.path} and under '{condition_b}' in {b.path}.",
            hint="Choose other conditions, or run both on the same items.",
        )
    if common:
        return
    problems = []
    for name, condition, ids in (
        ("A", condition_a, [item for item, in_a, in_b in pairs if in_a and not in_b]),
        ("B", condition_b, [item for item, in_a, in_b in pairs if in_b and not in_a]),
    ):
        if ids:
            problems.append((f"items asked under '{condition}' in {name} only: {_some(ids)}", _COMMON))
    _refuse(a, b, problems)


def _grouping(line: ItemLine) -> tuple[Any, ...]:
    return line.task, line.level, line.cluster, line.cluster_kind


def _settings(line: ItemLine) -> tuple[Any, ...]:
    return line.asked.scoring, line.asked.max_new_tokens, line.asked.stops


_CHECKS: tuple[tuple[str, Callable[[ItemLine], Any], str], ...] = (
    ("another prompt", lambda line: line.asked.prompt_hash, _SAME_DATA),
    ("another picture", lambda line: line.asked.image_hash, _SAME_DATA),
    ("another right answer", lambda line: line.gold, _SAME_DATA),
    ("another task, level or cluster", _grouping, _SAME_DATA),
    ("another scoring or other generation settings", _settings, _SAME_SETTINGS),
)


def _other_options(a: Asked, b: Asked) -> bool:
    # A model whose tokenizer splits the letters has none of them for the `generate` scoring.
    return bool(a.options and b.options) and a.options != b.options


def _generator_problems(a: FinishedRun, b: FinishedRun, shared: Sequence[ItemLine]) -> list[tuple[str, str]]:
    """Other data than the synthetic benchmark's does not depend on its generator."""
    versions = a.hashes.get("generator_version"), b.hashes.get("generator_version")
    made = [line.id for line in shared if line.cluster_kind == "orbit"]
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
