"""Read a task file; every error names the file, the line, the key and the fix."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vsc_eval import mistakes
from vsc_eval.errors import SpecError
from vsc_eval.resources import tasks_dir
from vsc_eval.taskfiles.schema import TaskFile
from vsc_eval.yaml_files import YamlFile, read_yaml, read_yaml_value

_SHAPE_KEYS = frozenset({"dataset", "kind", "fields", "schema_version"})
"""Keys of task files that lm-eval's own files do not have."""
_PATTERNS = {
    "name": "Use small letters, digits and _, a letter first.",
    "hook": "Write `module:function` or `file.py:function`.",
}
"""What a value must be like that does not fit its pattern."""


def shipped_dir() -> Path:
    """The shipped task files."""
    return tasks_dir() / "external"


def names_file(name: str) -> bool:
    """Whether a name of a task is the path of a file."""
    return name.endswith((".yaml", ".yml"))


def read_task_file(path: Path) -> TaskFile:
    """Read and check `path`. A local `dataset.path` and a hook's file are made absolute, first beside the file. Raises
    SpecError naming file, line and key."""
    source = read_yaml(path, tuple(TaskFile.model_fields))
    return _resolved(validated(source.value, source), source)


def validated(raw: dict[str, Any], source: str | YamlFile) -> TaskFile:
    """The task file that `raw` says. Raises SpecError naming `source` and the key."""
    return mistakes.validated(TaskFile, raw, source, _PATTERNS)


def override(file: TaskFile, changes: Iterable[str]) -> TaskFile:
    """`file` with keys set from the command line, each `dataset.path=VALUE`; values are read as YAML. Raises SpecError
    for a key that task files do not have, or a value that does not fit."""
    raw = file.model_dump(mode="json", exclude_unset=True)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise SpecError(f"'{change}' changes no key.", hint="Write for example `dataset.path=/data/copy`.")
        place: Any = raw
        *parents, last = key.split(".")
        for part in parents:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[last] = read_yaml_value(text, f"'{change}'")
    return validated(raw, f"Overriding '{file.name}'")


def is_task_file(path: Path) -> bool:
    """Whether a YAML is meant as a task file, broken or not; others in a folder are lm-eval's own."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    return bool(_SHAPE_KEYS & set(re.findall(r"^([A-Za-z_]+)\s*:", text, flags=re.M)))


def mistake(path: Path, key: str, message: str, hint: str) -> SpecError:
    """An error about a key of the task file `path`, with its line."""
    return SpecError(f"{read_yaml(path).at(key.split('.'))}: {key}: {message}.", hint=hint)


def _resolved(file: TaskFile, read: YamlFile) -> TaskFile:
    folder = read.path.resolve().parent
    changes: dict[str, Any] = {}
    source = file.dataset
    if source.format != "hub":
        local = Path(source.path).expanduser()
        beside = local if local.is_absolute() else folder / local
        if beside.exists():
            changes["dataset"] = source.model_copy(update={"path": str(beside)})
        elif source.path.startswith((".", "~", "/")):
            raise SpecError(
                f"{read.at(('dataset', 'path'))}: dataset.path: there is no {beside}.",
                hint="Correct the path; a relative one starts at the task file's folder.",
            )
    if file.hook and ".py:" in file.hook:
        changes["hook"] = str(folder / file.hook)
    return file.model_copy(update=changes) if changes else file
