"""The command line. Only the module of the command that was asked for is imported, so that help and errors are fast.

A command's module offers `fill(parser)`, or another function that COMMANDS names; it describes the command, adds its
options and sets `handler`, a function of the parsed arguments that returns the exit code (None counts as 0).
"""

import argparse
import difflib
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from vsc_eval import __version__
from vsc_eval.errors import VscError
from vsc_eval.tables.clean import forgiving_streams, terminal

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("vsc_eval.cli.run", "run one model under many conditions and compare them"),
    "study": ("vsc_eval.cli.study", "probing, train, select, sweep, control, conclude: the whole pipeline"),
    "calibrate": ("vsc_eval.cli.calibrate", "false verdicts and power of a study's rule, on simulated studies"),
    "compare": ("vsc_eval.cli.compare", "put two finished runs side by side, item by item"),
    "publish": ("vsc_eval.cli.board:fill_publish", "add a finished run or study to a board"),
    "board": ("vsc_eval.cli.board", "make, check, build or show a board of published results"),
    "tasks": ("vsc_eval.cli.tasks", "list tasks, look at their items, export them"),
    "harness": ("vsc_eval.cli.harness", "lm-evaluation-harness's own command line, with our models and tasks"),
    "probe": ("vsc_eval.cli.sae:fill_probe", "probe every decoder layer and pick the one that carries the task"),
    "sae": ("vsc_eval.cli.sae", "train a sparse autoencoder, select feature sets"),
    "doctor": ("vsc_eval.cli.doctor", "say what this machine can run"),
}
"""Command -> its module and its line of help."""

_USER_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def _once(action: type[argparse.Action]) -> type[argparse.Action]:
    """The action, but it refuses an option that is given twice, of which argparse keeps the last without a word."""

    class Once(action):  # type: ignore[valid-type, misc]
        def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
            given = vars(namespace).setdefault("given", set())
            if option_string is not None and self.dest in given:
                raise argparse.ArgumentError(self, "it is given twice, and takes one value; keep one of them")
            given.add(self.dest)
            super().__call__(parser, namespace, values, option_string)

    return Once


_ACTIONS = {
    None: _once(argparse._StoreAction),
    "store": _once(argparse._StoreAction),
    "store_true": _once(argparse._StoreTrueAction),
    "store_false": _once(argparse._StoreFalseAction),
}


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """With the defaults that there are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_none = action.default in (None, False, "") or "(default:" in (action.help or "")
        return action.help if has_none else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse, but an error says what was probably meant and leaves the long usage out."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", _Formatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        for name, action in _ACTIONS.items():
            self.register("action", name, action)
        self.fill: Callable[[Parser], None] | None = None
        """Adds the options when they are first needed: those of a spec that takes seconds to import."""

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """Unknown ones are an error here, in the innermost command, whose options a misspelt one is compared with."""
        self._filled()
        options, unknown = super().parse_known_args(*args, **kwargs)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def format_help(self) -> str:
        self._filled()
        return super().format_help()

    def _filled(self) -> None:
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)

    def error(self, message: str) -> NoReturn:
        known = list(self._option_string_actions)
        words = [word for word in message.split() if word.startswith("--")]
        close = [found for word in words for found in difflib.get_close_matches(word.split("=")[0], known, n=1)]
        hint = f" Did you mean {', '.join(dict.fromkeys(close))}?" if close and "unrecognized" in message else ""
        self.exit(2, f"{self.prog}: {message}.{hint}\n  Try `{self.prog} --help`.\n")


def _fill(place: str, parser: Parser) -> None:
    module, _, function = place.partition(":")
    getattr(importlib.import_module(module), function or "fill")(parser)


def build_parser() -> Parser:
    """The parser, with the commands by name and help line; the parts are loaded when they are needed."""
    parser = Parser(prog="vsc-eval", description="Evaluate vision-language models with and without SAE interventions.")
    parser.add_argument("--version", action="version", version=f"vsc-eval {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser, required=True)
    for name, (place, line) in COMMANDS.items():
        subparsers.add_parser(name, help=line).fill = partial(_fill, place)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    forgiving_streams()
    command = next((word for word in arguments if not word.startswith("-")), None)

    def run() -> int:
        options = build_parser().parse_args(arguments)
        return int(options.handler(options) or 0)

    hint = " Answers computed so far are stored: give the same command again to go on." if command == "run" else ""
    return exit_code(run, "vsc-eval", interrupted=hint)


def exit_code(run: Callable[[], int], prog: str, *, interrupted: str = "") -> int:
    """What `run` returns, 0 or 1 (checks that failed); 2 after a user's error, 130 if interrupted, each said on stderr.

    `interrupted` is a hint for somebody who pressed Ctrl-C, with a space before it.
    """
    try:
        return run()
    except VscError as error:
        print_error(error, prog)
        return 2
    except KeyboardInterrupt:
        print(f"\n{prog}: interrupted.{interrupted}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _USER_ERRNOS:
            raise
        where = f" {error.filename}" if error.filename else ""
        hint = "Check the disk's free space and the folder's permissions, then give the same command again."
        print_error(VscError(f"cannot write or read{where}: {error.strerror}.", hint=hint), prog)
        return 2


def print_error(error: VscError, prog: str = "vsc-eval") -> None:
    """An error and its hint on stderr."""
    print(terminal(f"{prog}: error: {error.message}\n  Hint: {error.hint}"), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
