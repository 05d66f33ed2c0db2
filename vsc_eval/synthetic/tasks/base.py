"""What a synthetic task is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from vsc_eval.registry import Registry
from vsc_eval.synthetic.difficulty import LEVELS, Difficulty
from vsc_eval.synthetic.program import Op
from vsc_eval.synthetic.seen import Seen
from vsc_eval.synthetic.tasks.draft import Builder


@dataclass(frozen=True)
class SyntheticTask:
    """A question that four scenes answer differently. vsc_eval.synthetic.prove checks all that is said here."""

    name: str
    """Lower case, digits and `_`: part of the task's names in lm-eval and of its items' ids."""
    levels: Mapping[str, Difficulty]
    """Parameters of `easy`, `medium` and `hard`."""
    build: Builder
    """(context, the level's parameters) -> one orbit. Raises CrowdedError for a layout to be drawn again."""
    read: Callable[[Sequence[Seen], str, Sequence[str]], str]
    """The pixel oracle's reader: (objects seen in the picture, question, options) -> the right option, from these
    alone. Raises DataError where the picture is unclear."""
    texts: Callable[[], Iterable[str]] = tuple
    """Every word that questions and options hold; only ours go into the vocabulary of vsc-tiny."""
    ops: Mapping[str, Op] = field(default_factory=dict)
    """What the task's programs need beyond the ops of program.py."""


_ENDINGS = frozenset({*LEVELS, "choice", "paired", "none", "grey", "level", "views", "external"})


def _fault(task: Any) -> str | None:
    if not isinstance(task, SyntheticTask):
        return f"it is of type {type(task).__name__}, not SyntheticTask"
    if not (task.name.isidentifier() and task.name.islower() and task.name.isascii()):
        return f"'{task.name}' is no name in lower case, digits and _"
    if (ending := task.name.rpartition("_")[2]) in _ENDINGS:
        return f"its name ends in '{ending}', as the names of levels, variants and views do"
    if tuple(task.levels) != LEVELS:
        return f"it has the levels {', '.join(task.levels)}, not {', '.join(LEVELS)}"
    return None


SYNTHETIC_TASKS: Registry[SyntheticTask] = Registry(
    "task",
    "vsc_eval.synthetic_tasks",
    {
        name: f"vsc_eval.synthetic.tasks.{name}:TASK"
        for name in (
            "counting",
            "spatial_relation",
            "attribute_query",
            "comparison",
            "existence",
            "logic",
            "multi_hop",
        )
    },
    _fault,
)

TASKS: Final = SYNTHETIC_TASKS.shipped
"""The tasks of the benchmark: those of other packages are asked by their own names only."""
