"""The command line's frame: fast help, lazy parts, errors with their fix and the right exit code."""

from __future__ import annotations

import argparse
import errno
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from vsc_eval import __version__
from vsc_eval.cli import main as cli
from vsc_eval.errors import BackendError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vsc_eval.cli.main", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int | None]], None]:
    """Put a command `part` with the given handler into the command line."""

    def install(handler: Callable[[argparse.Namespace], int | None], name: str = "part") -> None:

        def fill(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("--batch-size", type=int, default=1)
            parser.set_defaults(handler=handler)

        def fill_outer(outer: argparse.ArgumentParser) -> None:
            inner = outer.add_subparsers().add_parser("inner")
            inner.add_argument("--verbose", action="store_true")
            inner.set_defaults(handler=handler)

        for command, filling in ((name, fill), (f"{name}s", fill_outer)):
            module = types.ModuleType(f"vsc_eval_test_{command}")
            module.fill = filling  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, module.__name__, module)
            monkeypatch.setitem(cli.COMMANDS, command, (module.__name__, "a part"))

    return install


def raising(error: BaseException) -> Callable[[argparse.Namespace], int | None]:
    def handler(options: argparse.Namespace) -> int | None:
        raise error

    return handler


def test_help_names_every_command_and_loads_no_part() -> None:
    code = (
        "import sys; from vsc_eval.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'lm_eval', 'numpy', 'pydantic', 'rich')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(command in shown for command in cli.COMMANDS)
    assert shown.rstrip().endswith("[]")


def test_version() -> None:
    assert run("--version").stdout.strip() == f"vsc-eval {__version__}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: COMMAND"),
        (("runn",), "invalid choice: 'runn' (choose from 'run'"),
        (("part", "--batchsize", "2"), "unrecognized arguments: --batchsize 2. Did you mean --batch-size?"),
        (
            ("parts", "inner", "--verbos"),
            "vsc-eval parts inner: unrecognized arguments: --verbos. Did you mean --verbose?",
        ),
        (("part", "--batch-size", "two"), "argument --batch-size: invalid int value: 'two'"),
        (("part", "--batch", "2"), "unrecognized arguments: --batch 2"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    part: Any, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    part(lambda options: 0)
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    shown = capsys.readouterr().err
    assert end.value.code == 2
    assert message in shown
    assert "--help" in shown


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1)])
def test_the_handler_gives_the_exit_code(part: Any, result: int | None, code: int) -> None:
    part(lambda options: result)
    assert cli.main(["part"]) == code


def test_a_users_error_is_one_message_with_its_hint(part: Any, capsys: pytest.CaptureFixture[str]) -> None:
    part(raising(BackendError("No room.", hint="Make room.")))
    assert cli.main(["part"]) == 2
    assert capsys.readouterr().err == "vsc-eval: error: No room.\n  Hint: Make room.\n"


def test_an_interrupted_run_says_how_to_go_on(part: Any, capsys: pytest.CaptureFixture[str]) -> None:
    part(raising(KeyboardInterrupt()), "run")
    assert cli.main(["run"]) == 130
    assert "give the same command again" in capsys.readouterr().err
    part(raising(KeyboardInterrupt()))
    assert cli.main(["part"]) == 130
    assert capsys.readouterr().err.strip() == "vsc-eval: interrupted."


def test_a_full_disk_is_a_users_error_and_a_bug_keeps_its_traceback(
    part: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    part(raising(OSError(errno.ENOSPC, "No space left on device", "/x/y")))
    assert cli.main(["part"]) == 2
    assert "/x/y: No space left on device" in capsys.readouterr().err
    part(raising(OSError(errno.EBADF, "Bad file descriptor")))
    with pytest.raises(OSError, match="Bad file descriptor"):
        cli.main(["part"])
    part(raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["part"])


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = (
        "import sys, types; from vsc_eval.cli import main as cli\n"
        "module = types.ModuleType('part')\n"
        "def handler(options):\n"
        "    for _ in range(100000): print('x' * 80)\n"
        "module.fill = lambda parser: parser.set_defaults(handler=handler)\n"
        "sys.modules['part'] = module; cli.COMMANDS['part'] = ('part', '')\n"
        "sys.exit(cli.main(['part']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
