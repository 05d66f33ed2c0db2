"""The actions of `vsc-eval tasks` on task files: check, new, compile, schema."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vsc_eval.errors import SpecError
from vsc_eval.files import replacing
from vsc_eval.resources import tasks_dir
from vsc_eval.tables.clean import terminal
from vsc_eval.taskfiles.read import read_task_file
from vsc_eval.taskfiles.schema import to_json_schema

_YAML = (".yaml", ".yml")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Where a task file's data are, as `vsc-eval run` takes it."""
    parser.add_argument("--data-dir", type=Path, help="folder with local copies of data sets")
    parser.add_argument("--override", action="append", default=[], metavar="NAME.KEY=VALUE", help="set a key anew")
    parser.add_argument("--include-path", action="append", type=Path, default=[], help="folder with more task files")


def add_file_actions(actions: Any) -> None:
    """Add `check`, `new`, `compile` and `schema`."""
    check = actions.add_parser("check", help="load rows of a task file's data and say whether all fits")
    check.add_argument("file", help="a task file, or the name of one that is shipped")
    check.add_argument("--rows", type=int, default=200, help="rows to look at; 0: all")
    check.add_argument("--show", type=int, default=3, help="rows to print")
    check.add_argument("--out", type=Path, default=None, help="folder for the pictures of these rows")
    add_data_options(check)
    check.set_defaults(handler=_check)

    new = actions.add_parser("new", help="write a first task file from the columns of a data set")
    new.add_argument("name", help="of the task: small letters, digits and _")
    new.add_argument("--from", dest="source", required=True, metavar="DATASET", help="hub id, file or folder")
    new.add_argument("--config", default=None, help="configuration of a hub data set")
    new.add_argument("--split", default="test", help="split to take")
    new.add_argument("--revision", default=None, help="revision of a hub data set")
    new.add_argument("--out", type=Path, default=None, help="file to write (NAME.yaml if absent)")
    new.add_argument("--force", action="store_true", help="write over a file that is there")
    new.set_defaults(handler=_new)

    compiled = actions.add_parser("compile", help="write task files as lm-eval's own, for its stock command line")
    compiled.add_argument("files", nargs="*", type=Path, help="task files; the shipped ones if absent")
    compiled.add_argument("--out", type=Path, default=None, help="folder to write to")
    compiled.set_defaults(handler=_compile)

    schema = actions.add_parser("schema", help="write the JSON Schema of task files, for editors")
    schema.add_argument("--out", type=Path, default=None, help="file to write (standard output if absent)")
    schema.set_defaults(handler=_schema)


def data_set_lines() -> Iterator[str]:
    """The shipped task files, for `tasks list`."""
    folder = tasks_dir() / "external"
    files = [read_task_file(path) for path in sorted(folder.glob("*.yaml"))]
    yield "\nExternal data sets (the data are fetched from the hub, or --data-dir; see `vsc-eval tasks show NAME`):"
    for file in files:
        scorings = "text, choice" if file.has_choice_scoring else "text"
        yield f"  {file.name:<14} {' and '.join(file.kinds):<28} {scorings:<13} {file.dataset.path}"


def names_task_file(name: str) -> bool:
    """Whether a task is meant that is declared in a task file."""
    bare = name.removeprefix("vsc_")
    return name.endswith(_YAML) or (tasks_dir() / "external" / f"{bare}.yaml").is_file()


def show_task_file(options: argparse.Namespace) -> int:
    """`tasks show` of a task file: what it declares, and the first rows."""
    # Imported here: it loads `datasets` and lm-eval, which take seconds.
    from vsc_eval.lmeval.task_check import check, task_file

    choice = _choice(options)
    file = task_file(options.task, choice)
    for key, value in file.model_dump(mode="json", exclude_unset=True).items():
        print(terminal(f"{key}: {value}"))
    print()
    return 0 if check(options.task, choice, rows=options.n, show=options.n, out=options.out) else 1


def _choice(options: argparse.Namespace) -> Any:
    from vsc_eval.lmeval.task_index import ExternalChoice

    return ExternalChoice(
        include=tuple(options.include_path), overrides=tuple(options.override), data_dir=options.data_dir
    )


def _check(options: argparse.Namespace) -> int:
    from vsc_eval.lmeval.task_check import check

    if options.rows < 0 or options.show < 0:
        raise SpecError("--rows and --show count rows.", hint="Give 0 or more.")
    rows = options.rows or None
    return 0 if check(options.file, _choice(options), rows=rows, show=options.show, out=options.out) else 1


def _new(options: argparse.Namespace) -> int:
    from vsc_eval.taskfiles.new import new_task_file

    path = options.out or Path(f"{options.name}.yaml")
    source = Path(options.source).expanduser()
    given = {"path": str(source.resolve()) if source.exists() else options.source, "split": options.split}
    given |= {key: value for key in ("config", "revision") if (value := getattr(options, key)) is not None}
    _, remarks = new_task_file(options.name, given, path, force=options.force)
    print(path.read_text(encoding="utf-8"), end="")
    for remark in remarks:
        print(terminal(f"Note: {remark}"))
    print(f"Written to {path}. Next: vsc-eval tasks check {path}")
    return 0


def _compile(options: argparse.Namespace) -> int:
    from vsc_eval.taskfiles.data_files import COMPILED, write_compiled

    shipped = tasks_dir() / "external"
    files = options.files or sorted(shipped.glob("*.yaml"))
    for path in files:
        for written in write_compiled(read_task_file(path), options.out or path.parent / COMPILED):
            print(written)
    return 0


def _schema(options: argparse.Namespace) -> int:
    if options.out is None:
        print(to_json_schema(), end="")
        return 0
    with replacing(options.out) as partial:
        partial.write_text(to_json_schema(), encoding="utf-8")
    print(options.out)
    return 0
