"""`vsc-eval tasks`: what tasks there are, what their items look like; task files checked, begun and compiled."""

import argparse
import difflib
from pathlib import Path

from vsc_eval.cli.flags import Flags
from vsc_eval.errors import SpecError
from vsc_eval.files import write_text
from vsc_eval.lmeval.task_files import COMPILED, VARIANTS, compiled_files, write_task_files
from vsc_eval.settings import AskSpec
from vsc_eval.synthetic import DEFAULT_SIZES, LEVELS, SPLITS, SYNTHETIC_TASKS, make_items
from vsc_eval.synthetic.show import write_examples
from vsc_eval.tables.clean import terminal
from vsc_eval.taskfiles.read import names_file, read_task_file, shipped_dir
from vsc_eval.taskfiles.schema import DatasetSource, to_json_schema

_DATA = Flags(AskSpec, only=("data_dir", "override", "include_path"))
"""Where a task file's data are, as `vsc-eval run` takes it."""
_SOURCE = Flags(DatasetSource, only=("config", "split", "revision"))
"""Which part of a data set a new task file is of."""


def fill(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="names that --tasks takes").set_defaults(handler=_list)
    show = actions.add_parser("show", help="write pictures with prompt and right answer, to look at")
    show.add_argument("task", help="counting, vsc_counting_hard, or a task file by name or path")
    show.add_argument("--level", choices=LEVELS, default=None, help="all three if absent")
    show.add_argument("--n", type=int, default=4, help="items a cell")
    show.add_argument("--split", choices=SPLITS, default="test", help="split to draw from")
    show.add_argument("--out", type=Path, default=None, help="folder for the pictures; without it, text only")
    _DATA.add_to(show)
    show.set_defaults(handler=_show)
    export = actions.add_parser("export", help="write the items with their pictures as parquet")
    export.add_argument("--out", type=Path, required=True, help="folder to write to")
    export.add_argument("--split", action="append", choices=SPLITS, help="repeatable; default: test")
    export.add_argument("--n", type=int, default=None, help="items a cell, a multiple of 4; default: the split's own")
    export.set_defaults(handler=_export)
    check = actions.add_parser("check", help="load rows of a task file's data and say whether all fits")
    check.add_argument("file", help="a task file, or the name of one that is shipped")
    check.add_argument("--rows", type=int, default=200, help="rows to look at; 0: all")
    check.add_argument("--show", type=int, default=3, help="rows to print")
    check.add_argument("--out", type=Path, default=None, help="folder for the pictures of these rows")
    _DATA.add_to(check)
    check.set_defaults(handler=_check)
    new = actions.add_parser("new", help="write a first task file from the columns of a data set")
    new.add_argument("name", help="of the task: small letters, digits and _")
    new.add_argument("--from", dest="source", required=True, metavar="DATASET", help="hub id, file or folder")
    _SOURCE.add_to(new)
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


def cells_of(task: str, level: str | None = None) -> list[tuple[str, str]]:
    """The (task, level) cells that a name means. Raises SpecError naming close matches."""
    # Compared without the prefix, which would make every name look alike.
    name, tasks = task.removeprefix("vsc_"), SYNTHETIC_TASKS.names()
    known = {known: [(known, its_level) for its_level in LEVELS] for known in tasks}
    known |= {"_".join(cell): [cell] for cells in list(known.values()) for cell in cells}
    if name not in known:
        close = [f"vsc_{match}" for match in difflib.get_close_matches(name, known, n=3)]
        raise SpecError(
            f"Unknown task '{task}'.",
            hint=f"Did you mean {' or '.join(close)}?" if close else f"Tasks: {', '.join(f'vsc_{t}' for t in tasks)}.",
        )
    cells = [cell for cell in known[name] if level in (None, cell[1])]
    if not cells:
        hint = f"Write vsc_{known[name][0][0]} --level {level}."
        raise SpecError(f"'{task}' is not of level {level}.", hint=hint)
    return cells


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
    print("\nExternal data sets (the data are fetched from the hub, or --data-dir; see `vsc-eval tasks show NAME`):")
    for file in map(read_task_file, _shipped_files()):
        scorings = "text, choice" if file.has_choice_scoring else "text"
        print(f"  {file.name:<14} {' and '.join(file.kinds):<28} {scorings:<13} {file.dataset.path}")
    return 0


def _show(options: argparse.Namespace) -> int:
    if options.n < 1:
        raise SpecError(f"Cannot show {options.n} items.", hint="Ask for at least one.")
    if names_file(options.task) or options.task.removeprefix("vsc_") in {path.stem for path in _shipped_files()}:
        # Imported here: it loads `datasets` and lm-eval, which take seconds.
        from vsc_eval.lmeval.task_check import check, task_file

        spec = _DATA.read(options, "vsc-eval tasks", tasks=(options.task,))
        for key, value in task_file(spec).model_dump(mode="json", exclude_unset=True).items():
            print(terminal(f"{key}: {value}"))
        print()
        return 0 if check(spec, rows=options.n, show=options.n, out=options.out) else 1
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


def _shipped_files() -> list[Path]:
    return sorted(shipped_dir().glob("*.yaml"))


def _check(options: argparse.Namespace) -> int:
    from vsc_eval.lmeval.task_check import check

    if options.rows < 0 or options.show < 0:
        raise SpecError("--rows and --show count rows.", hint="Give 0 or more.")
    spec = _DATA.read(options, "vsc-eval tasks", tasks=(options.file,))
    return 0 if check(spec, rows=options.rows or None, show=options.show, out=options.out) else 1


def _new(options: argparse.Namespace) -> int:
    from vsc_eval.taskfiles.new import new_task_file

    path = options.out or Path(f"{options.name}.yaml")
    source = Path(options.source).expanduser()
    given = {"path": str(source.resolve()) if source.exists() else options.source, "split": "test"}
    _, remarks = new_task_file(options.name, given | _SOURCE.given(options), path, force=options.force)
    print(path.read_text(encoding="utf-8"), end="")
    for remark in remarks:
        print(terminal(f"Note: {remark}"))
    print(f"Written to {path}. Next: vsc-eval tasks check {path}")
    return 0


def _compile(options: argparse.Namespace) -> int:
    for path in options.files or _shipped_files():
        files = compiled_files(read_task_file(path))
        print(*write_task_files(options.out or path.parent / COMPILED, files), sep="\n")
    return 0


def _schema(options: argparse.Namespace) -> int:
    if options.out is None:
        print(to_json_schema(), end="")
        return 0
    write_text(options.out, to_json_schema())
    print(options.out)
    return 0
