"""An entry against board.yaml: was it asked what the board asks?"""

from __future__ import annotations

from collections.abc import Iterator

from vsc_eval.answers.answer_table import AskedItem
from vsc_eval.board.board import NO_LEVEL, BoardSpec, asked_hash, by_level
from vsc_eval.board.check.problem import Finding
from vsc_eval.board.entry.folder import Parts
from vsc_eval.synthetic import TASKS

_OTHER_BOARD = "Publish it to a board of its own: `vsc-eval board new DIR --from RUN`."


def spec_findings(parts: Parts, spec: BoardSpec) -> Iterator[Finding]:
    """Everything in which the entry is not one of this board."""
    if parts.about.board != spec.name:
        yield Finding(
            "board", f"the entry is of board '{parts.about.board:.60}', and this is '{spec.name}'", _OTHER_BOARD
        )
    items = parts.table.items
    other = next((item.scoring for item in items if item.scoring != spec.scoring), None)
    if other is not None:
        yield Finding(
            "scoring",
            f"it was read by `{other:.20}`, and the board asks for `{spec.scoring}`",
            f"Run with `--scoring {spec.scoring}`.",
        )
    version = parts.hashes.get("generator_version")
    if version != spec.generator_version and any(item.task in TASKS for item in items):
        yield Finding(
            "hashes.generator_version",
            f"its items are of generator version {version!s:.20}, the board's of {spec.generator_version}",
            "Run with a vsc-eval of the board's version.",
        )
    groups = by_level(items)
    for task, levels in groups.items():
        yield from _task(spec, task, levels)
    synthetic = spec.tasks_of("synthetic")
    missing = [task for task in synthetic if task not in groups]
    if missing and len(missing) < len(synthetic):
        yield Finding(
            "items.task",
            f"it lacks {', '.join(missing)}; an entry has all synthetic tasks of the board, or none",
            "Run all of them in one run.",
        )


def _task(spec: BoardSpec, task: str, levels: dict[str, list[AskedItem]]) -> Iterator[Finding]:
    asked = spec.tasks.get(task)
    if asked is None:
        known = ", ".join(spec.tasks)
        yield Finding("items.task", f"the board does not ask '{task:.60}'", f"Its tasks are: {known:.500}.")
        return
    for level in dict.fromkeys([*asked.levels, *levels]):
        own, group = levels.get(level, []), asked.levels.get(level)
        place = f"items of {task:.60}" + (f"/{level:.60}" if level != NO_LEVEL else "")
        if group is None:
            yield Finding(place, "the board does not ask this level", "Publish a run of the board's items.")
        elif len(own) != group.n:
            yield Finding(
                place,
                f"there are {len(own)} items, and the board asks {group.n}",
                "Run with the board's number of items (`--n` for the synthetic tasks, no `--limit`).",
            )
        elif asked_hash(own) != group.sha256:
            yield Finding(
                place,
                "they are not the board's items: an id, a question, a picture or a right answer differs",
                "Run with the same version of vsc-eval and of the data set.",
            )
