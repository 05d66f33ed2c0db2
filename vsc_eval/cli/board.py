"""`vsc-eval board` and `vsc-eval publish`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vsc_eval.cli.flags import Flags
from vsc_eval.errors import SpecError
from vsc_eval.settings import AskSpec

if TYPE_CHECKING:
    from vsc_eval.board.build import Built

Log = Callable[[str], None]

_DATA = Flags(AskSpec, only=("include_path", "data_dir"))
_BOARD = """\
A board is a folder: board.yaml says what every model is asked, entries/ holds one folder for each run, and all else
is made from those.
"""
_PUBLISH = """\
Add a finished run or study to a board: its results, every parsed answer and how they came to be, as one folder in
entries/. Then the board's tables, page, cards and figures are made anew. Publishing the same run twice changes nothing.
"""


def fill(parser: argparse.ArgumentParser) -> None:
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


def fill_publish(parser: argparse.ArgumentParser) -> None:
    parser.description = _PUBLISH
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a finished run or study")
    add("--to", dest="board", type=Path, metavar="DIR", required=True, help="folder of the board")
    add("--name", metavar="NAME", help="what to call the model (default: its hub id, or the last part of its folder)")
    add("--note", metavar="TEXT", default="", help="your own words beside the entry, up to 2,000 characters")
    add("--replace", action="store_true", help="put this run in the place of one of the same model and items")
    add("--intervention", type=Path, metavar="DIR", help="where the run's intervention is, if it was moved")
    add(
        "--with-pictures", action="store_true",
        help="put questions and small pictures of external data sets into the entry, for the gallery; only where the "
        "data's licence lets you",
    )  # fmt: skip
    _DATA.add_to(parser.add_argument_group("for --with-pictures"))
    parser.set_defaults(handler=_publish)


def _new(options: argparse.Namespace) -> int:
    from vsc_eval.board.spec import new_board

    spec = new_board(options.board, options.runs, title=options.title, description=options.description)
    log = _logger(stderr=True)
    log(f"{options.board / 'board.yaml'}: {len(spec.tasks)} tasks, {spec.n_items:,} items, read by `{spec.scoring}`.")
    log(f"Next: vsc-eval publish {options.runs[0]} --to {options.board}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from vsc_eval.board.check import check_entries
    from vsc_eval.progress import progress_shown
    from vsc_eval.tables import numbers
    from vsc_eval.tables.console import console_for, draw
    from vsc_eval.tables.table import columns, table

    with progress_shown() as progress:
        entries, problems = check_entries(options.board, intervals=options.intervals, progress=progress)
    if not problems:
        _logger()(f"{numbers.counted(len(entries), 'entry is', 'entries are')} right.")
        return 0
    heads = columns("file", "place", "what is wrong", "fix")
    rows = [(found.file, found.place, found.what, found.hint) for found in problems]
    draw(table("problems", numbers.counted(len(problems), "problem"), heads, rows), console_for())
    return 1


def _build(options: argparse.Namespace) -> int:
    from vsc_eval.board.build import build_board, checked_board, stale_files
    from vsc_eval.progress import progress_shown

    log = _logger(stderr=True)
    if options.check:
        stale = stale_files(checked_board(options.board))
        for name, what in stale.items():
            _logger()(f"{name}: {what}")
        log(f"{len(stale)} files to build: vsc-eval board build {options.board}" if stale else "All is up to date.")
        return 1 if stale else 0
    with progress_shown() as progress:
        built = build_board(options.board, log=log, progress=progress)
    _log_built(built, log)
    return 0


def _show(options: argparse.Namespace) -> int:
    from vsc_eval.board.build import checked_board
    from vsc_eval.board.tables import board_tables
    from vsc_eval.tables.console import console_for, draw

    board, console = checked_board(options.board), console_for()
    if not board.entries:
        _logger()("The board has no entries yet.")
        return 0
    tables = board_tables(board)
    for found in (*tables.baseline, *tables.interventions):
        draw(found, console, everything=options.all)
    return 0


def _publish(options: argparse.Namespace) -> int:
    from vsc_eval.answers.finished_run import read_run
    from vsc_eval.board.from_run import entry_of_run, shown_items
    from vsc_eval.board.publish import publish
    from vsc_eval.board.spec import read_board_spec
    from vsc_eval.progress import progress_shown

    log, shown = _logger(stderr=True), None
    data = _DATA.read(options, "vsc-eval publish")
    if options.with_pictures:
        shown = shown_items(options.run, include=list(data.include_path), data_dir=data.data_dir)
    elif data.include_path or data.data_dir:
        raise SpecError("--include-path and --data-dir go with --with-pictures.", hint="Leave them out, or add it.")
    spec = read_board_spec(options.board)
    log(f"Making the entry of {options.run} ...")
    about = {name: getattr(options, name) for name in ("name", "note", "intervention")}
    entry = entry_of_run(read_run(options.run), board=spec.name, shown=shown, **about)
    with progress_shown() as progress:
        found = publish(entry, options.board, replace=options.replace, log=log, progress=progress)
    log(f"{found.folder}: {found.done}.")
    _log_built(found.built, log)
    return 0


def _log_built(built: Built, log: Log) -> None:
    written, removed = built.written, built.removed
    if not written and not removed:
        log("All files were up to date.")
        return
    shown = ", ".join(written[:6]) + (", ..." if len(written) > 6 else "")
    log(f"{len(written)} files written{': ' if written else ''}{shown}" + (f"; {len(removed)} removed" * bool(removed)))


def _logger(*, stderr: bool = False) -> Log:
    """A function that prints a line of words as they are."""
    from vsc_eval.tables.clean import terminal
    from vsc_eval.tables.console import console_for

    console = console_for(stderr=stderr)
    return lambda words: console.print(terminal(words), highlight=False, markup=False, soft_wrap=True)
