"""`vsc-eval board`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from vsc_eval.board.build import Built

Log = Callable[[str], None]

_BOARD = """\
A board is a folder: board.yaml says what every model is asked, entries/ holds one folder for each run, and all else
is made from those.
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """The actions of `board`."""
    parser.description = _BOARD
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="start a board that asks what a run asked")
    new.add_argument("board", type=Path, metavar="DIR", help="folder of the board; its name is the board's")
    new.add_argument(
        "--from", dest="runs", type=Path, metavar="RUN", action="append", required=True,
        help="folder of a finished run or study; several, if each asked other tasks",
    )  # fmt: skip
    new.add_argument("--title", metavar="TEXT", help="heading of the page (default: the folder's name)")
    new.add_argument("--description", metavar="TEXT", default="", help="below the heading")
    new.set_defaults(handler=_new)
    check = actions.add_parser("check", help="check all entries: schema, hashes, arithmetic, items, duplicates")
    check.add_argument(
        "--intervals", action="store_true",
        help="also draw the intervals of all rows anew; slow, and other versions of numpy draw others",
    )  # fmt: skip
    check.set_defaults(handler=_check)
    build = actions.add_parser("build", help="check the entries, then make tables, page, cards and figures anew")
    build.add_argument("--check", action="store_true", help="only say which of these files are not up to date")
    build.set_defaults(handler=_build)
    show = actions.add_parser("show", help="print the board's tables")
    show.add_argument("--all", action="store_true", help="with the rows that printed tables leave out")
    show.set_defaults(handler=_show)
    for action in (check, build, show):
        action.add_argument("board", type=Path, metavar="DIR", help="folder of the board")


def _new(options: argparse.Namespace) -> int:
    from vsc_eval.board.spec import new_board
    from vsc_eval.tables.console import console_for

    spec = new_board(options.board, options.runs, title=options.title, description=options.description)
    log = logger(console_for(stderr=True))
    log(f"{options.board / 'board.yaml'}: {len(spec.tasks)} tasks, {spec.n_items:,} items, read by `{spec.scoring}`.")
    log(f"Next: vsc-eval publish {options.runs[0]} --to {options.board}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from vsc_eval.board.check import check_entries
    from vsc_eval.progress import progress_shown
    from vsc_eval.tables import numbers
    from vsc_eval.tables.console import console_for, draw
    from vsc_eval.tables.table import columns, table

    console = console_for()
    with progress_shown(console_for(stderr=True), {}) as progress:
        entries, problems = check_entries(options.board, intervals=options.intervals, progress=progress)
    if not problems:
        logger(console)(f"{numbers.counted(len(entries), 'entry is', 'entries are')} right.")
        return 0
    heads = columns("file", "place", "what is wrong", "fix")
    rows = [(found.file, found.place, found.what, found.hint) for found in problems]
    draw(table("problems", numbers.counted(len(problems), "problem"), heads, rows), console)
    return 1


def _build(options: argparse.Namespace) -> int:
    from vsc_eval.board.build import build_board, checked_board, stale_files
    from vsc_eval.progress import progress_shown
    from vsc_eval.tables.console import console_for

    log = logger(console_for(stderr=True))
    if options.check:
        stale = stale_files(checked_board(options.board))
        for name, what in stale.items():
            logger(console_for())(f"{name}: {what}")
        log(f"{len(stale)} files to build: vsc-eval board build {options.board}" if stale else "All is up to date.")
        return 1 if stale else 0
    with progress_shown(console_for(stderr=True), {}) as progress:
        built = build_board(options.board, log=log, progress=progress)
    log_built(built, log)
    return 0


def _show(options: argparse.Namespace) -> int:
    from vsc_eval.board.build import checked_board
    from vsc_eval.board.tables import board_tables
    from vsc_eval.tables.console import console_for, draw

    board, console = checked_board(options.board), console_for()
    if not board.entries:
        logger(console)("The board has no entries yet.")
        return 0
    tables = board_tables(board)
    for found in (*tables.baseline, *tables.interventions):
        draw(found, console, everything=options.all)
    return 0


def log_built(built: Built, log: Log) -> None:
    """Which files a build wrote and deleted."""
    written, removed = built.written, built.removed
    if not written and not removed:
        log("All files were up to date.")
        return
    shown = ", ".join(written[:6]) + (", ..." if len(written) > 6 else "")
    log(f"{len(written)} files written{': ' if written else ''}{shown}" + (f"; {len(removed)} removed" * bool(removed)))


def logger(console: Console) -> Log:
    """A function that prints a line of words as they are."""
    from vsc_eval.tables.clean import terminal

    return lambda words: console.print(terminal(words), highlight=False, markup=False, soft_wrap=True)
