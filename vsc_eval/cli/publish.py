"""`vsc-eval publish`."""

import argparse
from pathlib import Path

from vsc_eval.cli.board import log_built, logger
from vsc_eval.cli.flags import Flags
from vsc_eval.settings import AskSpec

_DATA = Flags(AskSpec, only=("include_path", "data_dir"))
_DESCRIPTION = """\
Add a finished run or study to a board: its results, every parsed answer and how they came to be, as one folder in
entries/. Then the board's tables, page, cards and figures are made anew. Publishing the same run twice changes nothing.
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """The options of `publish`."""
    parser.description = _DESCRIPTION
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


def _publish(options: argparse.Namespace) -> int:
    from vsc_eval.answers.finished_run import read_run
    from vsc_eval.board.from_run import entry_of_run
    from vsc_eval.board.publish import publish
    from vsc_eval.board.spec import read_board_spec
    from vsc_eval.progress import progress_shown
    from vsc_eval.tables.console import console_for

    log, shown = logger(console_for(stderr=True)), None
    data = _DATA.read(options, "vsc-eval publish")
    if options.with_pictures:
        from vsc_eval.board.from_run import shown_items

        shown = shown_items(options.run, include=list(data.include_path), data_dir=data.data_dir)
    elif data.include_path or data.data_dir:
        from vsc_eval.errors import SpecError

        raise SpecError("--include-path and --data-dir go with --with-pictures.", hint="Leave them out, or add it.")
    spec = read_board_spec(options.board)
    log(f"Making the entry of {options.run} ...")
    entry = entry_of_run(
        read_run(options.run),
        board=spec.name,
        name=options.name,
        note=options.note,
        intervention=options.intervention,
        shown=shown,
    )
    with progress_shown(console_for(stderr=True), {}) as progress:
        found = publish(entry, options.board, replace=options.replace, log=log, progress=progress)
    log(f"{found.folder}: {found.done}.")
    log_built(found.built, log)
    return 0
