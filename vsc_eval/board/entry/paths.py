"""Names of models and settings without paths of the machine that a run was made on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from vsc_eval.errors import SpecError

_PATH = re.compile(
    # Where a word begins, but not within `https://`.
    r"(?:(?<=file:)/+|(?<![^\s=,:;'\"()\[\]{}])(?!(?<=:)//)(?:(?:~\w*|\.{1,2})?/|[A-Za-z]:[\\/]|\\\\))"
    r"[^\s=,:;'\"()\[\]{}]+"
)
"""A path that begins at the root, a home, here, a drive or a server; `org/name` is a hub id and none."""

_FIGURES = frozenset({
    "rows", "interactions", "pairs", "official", "controls", "floor", "conditions", "targets", "selection",
})  # fmt: skip
"""Sections of results.json."""


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


def results_without_paths(document: Mapping[str, Any]) -> dict[str, Any]:
    """results.json with the same done to all but the figures, whose names of conditions and categories are as they
    are."""
    return {name: value if name in _FIGURES else without_paths(value) for name, value in document.items()}
