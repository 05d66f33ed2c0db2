"""`vsc-eval tasks`: what tasks there are, what their items look like; task files checked, begun and compiled."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any

from vsc_eval.cli.tasks_files import (
    add_data_options,
    add_file_actions,
    data_set_lines,
    names_task_file,
    show_task_file,
)
from vsc_eval.errors import SpecError
from vsc_eval.lmeval.task_files import VARIANTS
from vsc_eval.synthetic import DEFAULT_SIZES, LEVELS, SPLITS, SYNTHETIC_TASKS, make_items
from vsc_eval.synthetic.show import write_examples


def add_parser(subparsers: Any) -> None:
    """Add `tasks` with its actions."""
    parser = subparsers.add_parser("tasks", help="list tasks, look at their items, export them")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="names that --tasks takes")
    listing.set_defaults(handler=_list)

    show = actions.add_parser("show", help="write pictures with prompt and right answer, to look at")
    show.add_argument("task", help="counting, vsc_counting_hard, or a task file by name or path")
    show.add_argument("--level", choices=LEVELS, default=None, help="all three if absent")
    show.add_argument("--n", type=int, default=4, help="items a cell")
    show.add_argument("--split", choices=SPLITS, default="test", help="split to draw from")
    show.add_argument("--out", type=Path, default=None, help="folder for the pictures; without it, text only")
    add_data_options(show)
    show.set_defaults(handler=_show)

    export = actions.add_parser("export", help="write the items with their pictures as parquet")
    export.add_argument("--out", type=Path, required=True, help="folder to write to")
    export.add_argument("--split", action="append", choices=SPLITS, help="repeatable; default: test")
    export.add_argument("--n", type=int, default=None, help="items a cell, a multiple of 4; default: the split's own")
    export.set_defaults(handler=_export)
    add_file_actions(actions)


def cells_of(task: str, level: str | None = None) -> list[tuple[str, str]]:
    """The (task, level) cells that a name means. Raises SpecError naming close matches."""
    name = task.removeprefix("vsc_")
    for known in SYNTHETIC_TASKS.names():
        if name == known:
            return [(known, level) for level in ([level] if level else LEVELS)]
        for its_level in LEVELS:
            if name == f"{known}_{its_level}":
                if level not in (None, its_level):
                    raise SpecError(f"'{task}' is not of level {level}.", hint=f"Write vsc_{known} --level {level}.")
                return [(known, its_level)]
    # Compared without the prefix, which would make every name look alike.
    tasks = SYNTHETIC_TASKS.names()
    names = [*tasks, *(f"{known}_{its_level}" for known in tasks for its_level in LEVELS)]
    close = [f"vsc_{match}" for match in difflib.get_close_matches(name, names, n=3)]
    raise SpecError(
        f"Unknown task '{task}'.",
        hint=f"Did you mean {' or '.join(close)}?" if close else f"Tasks: {', '.join(f'vsc_{t}' for t in tasks)}.",
    )


def _list(_options: argparse.Namespace) -> int:
    tasks = SYNTHETIC_TASKS.names()
    print("Cells:    " + "\n          ".join(" ".join(f"vsc_{task}_{level}" for level in LEVELS) for task in tasks))
    print("By task:  " + " ".join(f"vsc_{task}" for task in tasks))
    print("By level: " + " ".join(f"vsc_{level}" for level in LEVELS))
    print("Groups:   vsc (all cells, means by task), vsc_by_level, vsc_views (both)")
    if added := SYNTHETIC_TASKS.added():
        print(f"Of other packages, and in no level or group: {' '.join(f'vsc_{task}' for task in added)}")
    print("\nEach name also with a suffix, as in vsc_counting_easy_paired, vsc_easy_paired, vsc_paired:")
    for variant in VARIANTS:
        print(f"  {variant.name or '(none)':<14} {variant.summary:<44} {', '.join(variant.metrics)}")
    print(
        "\nNames by task and by level are lm-eval tags: they go together in one request, but not with a group that"
        " holds the same cells."
    )
    sizes = ", ".join(f"{split} {DEFAULT_SIZES[split]}" for split in SPLITS)
    print(f"Items per cell: {sizes}. Change with --metadata vsc_n=20 vsc_split=select.")
    print("\n".join(data_set_lines()))
    return 0


def _show(options: argparse.Namespace) -> int:
    if options.n < 1:
        raise SpecError(f"Cannot show {options.n} items.", hint="Ask for at least one.")
    if names_task_file(options.task):
        return show_task_file(options)
    for task, level in cells_of(options.task, options.level):
        for item in make_items(options.split, task, level, -(-options.n // 4) * 4)[: options.n]:
            print(f"--- {item.id}   gold: {item.answer}. {item.options[item.gold]}\n{item.prompt}")
        if options.out is not None:
            paths = write_examples(task, level, options.n, options.out, split=options.split)
            print(f"=== {len(paths)} pictures written, all of them on {paths[-1]}")
    return 0


def _export(options: argparse.Namespace) -> int:
    # Imported here: it loads `datasets`, which takes a second.
    from vsc_eval.synthetic.export import export_benchmark

    sizes = {s: DEFAULT_SIZES[s] if options.n is None else options.n for s in options.split or ("test",)}
    for path in export_benchmark(options.out, sizes=sizes):
        print(path)
    return 0
