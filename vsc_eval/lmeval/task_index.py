"""Which task files there are: those that are shipped, those in folders that the user names, and single files.

lm-eval's own index leaves a file out that it cannot read, without a word; here a broken file stops with its name.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lm_eval.tasks._index import TaskIndex
from lm_eval.tasks._yaml_loader import load_yaml

from vsc_eval import metrics
from vsc_eval.errors import SpecError, known_names
from vsc_eval.lmeval.documents import adjusted
from vsc_eval.lmeval.task_files import COMPILED, TAG, VARIANTS, cell_files, compiled_files, variants, write_task_files
from vsc_eval.resources import tasks_dir
from vsc_eval.settings import AskSpec
from vsc_eval.synthetic import LEVELS, SYNTHETIC_TASKS
from vsc_eval.taskfiles.read import is_task_file, mistake, names_file, read_task_file, shipped_dir
from vsc_eval.taskfiles.schema import TaskFile


def benchmark_dir() -> Path:
    """lm-eval's task files of the synthetic benchmark."""
    return tasks_dir() / "vsc"


def task_file_paths(folder: Path) -> list[Path]:
    """The task files in a folder and below it; YAML files of lm-eval's own kind are checked and left to it. Raises
    SpecError, naming the file, for one that lm-eval would leave out silently."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if names_file(path.name)):
        # Files beside a lock are a run's own.
        of_a_run = (path.parent / ".lock").exists()
        if of_a_run or COMPILED in path.relative_to(folder).parts[:-1] or "__pycache__" in path.parts:
            continue
        if is_task_file(path):
            found.append(path)
        elif path.suffix == ".yaml":
            _check_lm_eval_file(path)
    return found


def read_checked(path: Path) -> TaskFile:
    """A task file whose name is free and whose metric there is. Raises SpecError naming file, line and key."""
    file = read_task_file(path)
    if _is_taken(file.name):
        raise mistake(path, "name", f"'{file.task_name}' is taken by the benchmark's own tasks", "Choose another.")
    if file.score is not None:
        try:
            metrics.get(file.score)
        except SpecError as error:
            raise mistake(path, "score", error.message.rstrip("."), error.hint) from error
    return file


def _is_taken(name: str) -> bool:
    """Whether lm-eval has a tag, group or task of the benchmark by that name, or a tag of all task files."""
    bare = next((name.removesuffix(f"_{v.name}") for v in VARIANTS if v.name and name.endswith(f"_{v.name}")), name)
    tasks = SYNTHETIC_TASKS.names()
    cells = {f"{task}_{level}" for task in tasks for level in LEVELS}
    return bare in {*tasks, *LEVELS, *cells, "by_level", "views", TAG.removeprefix("vsc_")}


def _check_lm_eval_file(path: Path) -> None:
    try:
        TaskIndex.process_cfg(load_yaml(path, resolve_func=False), path, {})
    # lm-eval's loader runs on foreign files and may raise anything; each of them would leave the file out.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SpecError(
            f"{path} is neither a task file nor one of lm-eval's: {reason}.",
            hint="Fix it, move it out of the folder, or rename it so that it does not end in .yaml.",
        ) from error


def find_task_files(names: Sequence[str] = (), include: Sequence[Path] = ()) -> dict[str, TaskFile]:
    """Name -> task file: all shipped ones, all of the folders `include`, and those of `names` that are files. Raises
    SpecError for a file that cannot be read, a folder that is none, or two files of one name."""
    for folder in include:
        if not folder.is_dir():
            raise SpecError(f"{folder} is no folder.", hint="Name a folder of task files.")
    paths = [path for folder in (shipped_dir(), *include) for path in task_file_paths(folder)]
    paths += [Path(name) for name in names if names_file(name)]
    found: dict[str, TaskFile] = {}
    where: dict[str, Path] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        file = read_checked(path)
        if other := where.get(file.name):
            raise SpecError(f"{path} and {other} both declare the task '{file.name}'.", hint="Rename one of them.")
        found[file.name], where[file.name] = file, path
    return found


def chosen_files(spec: AskSpec) -> tuple[tuple[str, ...], dict[str, TaskFile]]:
    """The tasks with task files' names in lm-eval's form, and the task files among them, overridden and limited.

    A task file is named as `cvbench`, `vsc_cvbench`, a path, with or without the suffix of a variant, or by the tag of
    all, `vsc_external`. Raises SpecError, also for an override that names no task of the run.
    """
    files = find_task_files(spec.tasks, spec.include_path)
    variant_of = {name: file for file in files.values() for name in variants(file)}
    resolved, used = [], {}
    for name in spec.tasks:
        full = read_task_file(Path(name)).task_name if names_file(name) else name
        full = full if full in variant_of or full.startswith("vsc_") else f"vsc_{full}"
        if full in variant_of:
            used[variant_of[full].name] = variant_of[full]
        if full.startswith(TAG):
            used |= files
        resolved.append(full if full in variant_of else name)
    for change in spec.override:
        wrong = change.partition(".")[0]
        if wrong not in used:
            hint = f"Write NAME.KEY=VALUE. {known_names('tasks of data sets in this run', wrong, used)}"
            raise SpecError(f"The override '{change}' names no task of this run.", hint=hint)
    final = [adjusted(file, spec.override, limit=spec.limit, data_dir=spec.data_dir) for file in used.values()]
    return tuple(resolved), dict(zip(used, final, strict=True))


def compiled_folder(files: Iterable[TaskFile]) -> TemporaryDirectory[str]:
    """A new temporary folder with the compiled files and other packages' synthetic tasks; who asked cleans it up."""
    folder = TemporaryDirectory(prefix="vsc-tasks-", ignore_cleanup_errors=True)
    if added := SYNTHETIC_TASKS.added():
        write_task_files(Path(folder.name), cell_files(added))
    for file in files:
        write_task_files(Path(folder.name), compiled_files(file))
    return folder


@contextmanager
def compiled_includes(folders: Sequence[Path], names: Sequence[str] = ()) -> Iterator[tuple[list[str], list[str]]]:
    """What lm-eval's own command line needs while the block runs.

    First folders for its `include_path`: `folders`, and one with the task files among them compiled; then `names`, with
    the paths of task files among them replaced by the tasks' names.

    Raises SpecError for a broken file in one of the folders or among the names.
    """
    files = {path.resolve(): read_checked(path) for folder in folders for path in task_file_paths(folder)}
    given = {name: Path(name).resolve() for name in names if names_file(name)}
    given = {name: path for name, path in given.items() if path.is_file() and is_task_file(path)}
    files |= {path: read_checked(path) for path in given.values()}
    with compiled_folder(files.values()) as compiled:
        yield [*map(str, folders), compiled], [files[given[n]].task_name if n in given else n for n in names]


@contextmanager
def clear_errors(model: str | None = None) -> Iterator[None]:
    """Say lm-eval's most common complaints, also that it has not `model`, in a line with a fix."""
    fixes = {
        "Duplicate task": "Name tasks that do not overlap: groups hold their cells. `vsc_views` has all cells, by task"
        " and by level; tags such as `vsc_counting` and `vsc_easy` go together.",
        "Tasks not found": "`vsc-eval tasks list` shows ours.",
        "no model for this name": "Use --model vsc-hf, or one of its own, such as hf-multimodal.",
    }
    try:
        yield
    except ValueError as error:
        said = next((part for part in fixes if part in str(error)), None)
        if said is None:
            raise
        message = f"lm-eval has no model '{model}'" if said.startswith("no model") else str(error)
        raise SpecError(f"{message}.", hint=fixes[said]) from error
