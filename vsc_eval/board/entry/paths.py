"""Parts of an entry that runs and studies have in common: items, log-probabilities, names without paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any, Literal

from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.answers.items import ItemLine
from vsc_eval.board.records import ItemTable
from vsc_eval.errors import DataError, SpecError
from vsc_eval.specs import BASELINE

Scoring = Literal["loglikelihood", "generate"]

_PATH = re.compile(
    # Where a word begins, but not within `https://`.
    r"(?:(?<=file:)/+|(?<![^\s=,:;'\"()\[\]{}])(?!(?<=:)//)(?:(?:~\w*|\.{1,2})?/|[A-Za-z]:[\\/]|\\\\))"
    r"[^\s=,:;'\"()\[\]{}]+"
)
"""A path that begins at the root, a home, here, a drive or a server; `org/name` is a hub id and none."""


def item_table(lines: Sequence[ItemLine], conditions: Iterable[str]) -> ItemTable:
    """The items with their answers under `conditions`. Raises DataError for an item that lacks one."""
    names = tuple(conditions)
    for line in lines:
        for name in names:
            if name not in line.answers:
                raise DataError(
                    f"Item '{line.id}' has no answer under condition '{name}'.",
                    hint="Give the command that made the run again, with the same --out.",
                )
    return ItemTable(
        id=tuple(line.id for line in lines),
        task=tuple(line.task for line in lines),
        level=tuple(line.level for line in lines),
        cluster=tuple(line.cluster for line in lines),
        cluster_kind=tuple(line.cluster_kind for line in lines),
        gold=tuple(line.gold for line in lines),
        prompt_hash=tuple(line.asked.prompt_hash for line in lines),
        image_hash=tuple(line.asked.image_hash for line in lines),
        options=tuple(line.asked.options for line in lines),
        answers={name: tuple(line.answers[name] for line in lines) for name in names},
    )


def changed_logprobs(
    lines: Sequence[ItemLine], conditions: Iterable[str]
) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """Condition -> item -> log-probabilities, of the items whose answer the condition changed; the baseline's of all
    items that any of them changed. The baseline is first."""
    found: dict[str, dict[str, tuple[float | None, ...]]] = {BASELINE: {}}
    for name in conditions:
        for line in lines:
            values = line.option_logprobs.get(name)
            if name == BASELINE or line.answers[name] == line.answers[BASELINE]:
                continue
            if values is not None:
                found.setdefault(name, {})[line.id] = values
            before = line.option_logprobs.get(BASELINE)
            if before is not None:
                found[BASELINE][line.id] = before
    return {name: items for name, items in found.items() if items}


def scoring_of(lines: Sequence[ItemLine]) -> Scoring:
    """How all items were asked. Raises SpecError if not all in one way."""
    ways = sorted({line.asked.scoring for line in lines})
    if len(ways) != 1:
        raise SpecError(
            f"The run's items were asked in {len(ways)} ways ({', '.join(ways) or 'there are none'}).",
            hint="A board asks all items in one way: publish a run of one scoring.",
        )
    return ways[0]


def model_name(model: str, revision: str | None, given: str | None) -> str:
    """As the entry shows it: the given name, a hub id, or the last part of a folder. Raises SpecError for an empty one.

    A model from the hub has a revision; without one a name with slashes is a folder, of which only the last part is
    anybody's business.
    """
    if given is not None:
        if not given.strip():
            raise SpecError("The model's name is empty.", hint="Give --name a name, or leave it out.")
        return given.strip()
    is_hub_id = revision is not None and re.fullmatch(r"[\w.\-]+(/[\w.\-]+)?", model) and not model.startswith(".")
    return model if is_hub_id else last_part(model)


def last_part(path: str) -> str:
    """`/home/me/models/mine/` -> `mine`."""
    return PurePath(path.replace("\\", "/")).name or "model"


def without_paths(value: Any) -> Any:
    """Settings with every path of the machine cut to its last part, wherever it stands."""
    if isinstance(value, str):
        return _PATH.sub(lambda found: last_part(found.group()), value)
    if isinstance(value, Mapping):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(inner) for inner in value]
    return value


def attempt_words(run: FinishedRun, key: str) -> str:
    """What all attempts say under that key; several different ones one after the other."""
    return ", then ".join(dict.fromkeys(str(attempt[key]) for attempt in run.attempts if attempt.get(key)))


def date_of(run: FinishedRun, key: str) -> str:
    """The last date that the attempts have under `key` (`ended`), or the first (`started`): from the run's own file, so
    that an entry does not depend on when it is made. Raises DataError if there is none."""
    dates = [attempt[key] for attempt in run.attempts if attempt.get(key)]
    chosen = dates[0 if key == "started" else -1] if dates else None
    try:
        moment = datetime.fromisoformat(str(chosen))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DataError(
            f"The attempts in {run.path} do not say when the run {key}.",
            hint="Give the command that made the run again: it writes the date, and computes nothing anew.",
        )
    return moment.isoformat()


def packages_of(versions: Mapping[str, Any]) -> dict[str, str]:
    """Package -> version; those that are not installed are left out."""
    return {name: str(version) for name, version in versions.items() if version is not None}
