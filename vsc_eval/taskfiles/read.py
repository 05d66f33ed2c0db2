"""Read a task file; every error names the file, the line, the key and the fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vsc_eval.errors import SpecError, known_names
from vsc_eval.specs import keys_at
from vsc_eval.taskfiles.schema import TaskFile

_SHAPE_KEYS = frozenset({"dataset", "kind", "fields", "schema_version"})
"""Keys of task files that lm-eval's own files do not have."""
_BRANCHES = frozenset({"str", "dict", "bool", "int", "float", "constrained-str"})


def read_task_file(path: Path) -> TaskFile:
    """Read and check `path`. A local `dataset.path` and a hook's file are made absolute, first beside the file.

    Raises SpecError naming file, line and key.
    """
    node = _compose(path)
    raw = _plain(node, path)
    try:
        file = TaskFile.model_validate(raw)
    except ValidationError as error:
        raise _explain(error, node, path) from error
    return _resolved(file, path)


def override(file: TaskFile, changes: Iterable[str]) -> TaskFile:
    """`file` with keys set from the command line, each `dataset.path=VALUE`; values are read as YAML.

    Raises SpecError for a key that task files do not have, or a value that does not fit.
    """
    raw = file.model_dump(mode="json", exclude_unset=True)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise SpecError(f"'{change}' changes no key.", hint="Write for example `dataset.path=/data/copy`.")
        place: Any = raw
        *parents, last = key.split(".")
        for part in parents:
            inner = place.get(part)
            place[part] = inner if isinstance(inner, dict) else {}
            place = place[part]
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SpecError(f"'{change}': the value is no YAML.", hint="Put it in quotes.") from error
    try:
        return TaskFile.model_validate(raw)
    except ValidationError as error:
        first = _first(error)
        where, message, hint = _said(first)
        raise SpecError(f"Overriding '{file.name}': {where}: {message}.", hint=hint) from error


def is_task_file(path: Path) -> bool:
    """Whether a YAML is meant as a task file, broken or not; others in a folder are lm-eval's own."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    return bool(_SHAPE_KEYS & set(re.findall(r"^([A-Za-z_]+)\s*:", text, flags=re.M)))


def mistake(path: Path, key: str, message: str, hint: str) -> SpecError:
    """An error about a key of the task file `path`, with its line."""
    return SpecError(f"{path}:{_line(_compose(path), key.split('.'))}: {key}: {message}.", hint=hint)


def _compose(path: Path) -> yaml.Node:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError(f"There is no file {path}.", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is no text in UTF-8.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.", hint="Give a file that you may read.") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "the text is no YAML"
        hint = "Use spaces, not tabs, to indent." if "\\t" in problem else "Check indentation, colons and quotes there."
        raise SpecError(f"{path}{line}: {problem}.", hint=hint) from error
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(
            f"{path}:1: the file {'is empty' if node is None else 'holds no keys'}.",
            hint="See `vsc-eval tasks new --help` for how to begin one.",
        )
    return node


def _plain(node: yaml.Node, path: Path) -> Any:
    loop = _loop(node, ())
    if loop is not None:
        raise SpecError(
            f"{path}:{loop.start_mark.line + 1}: an alias stands inside what it names.", hint="Write the values out."
        )
    for key in _repeated(node):
        raise SpecError(f"{path}:{key.start_mark.line + 1}: {key.value}: the key is there twice.", hint="Keep one.")
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise SpecError(
            f"{path}:{line}: {getattr(error, 'problem', error)}.", hint="Task files hold plain values, without tags."
        ) from error
    except ValueError as error:
        # PyYAML reads 2024-02-31 as a date.
        raise SpecError(
            f"{path}: a value looks like a date, but is none: {error}.", hint="Put it in quotes."
        ) from error


def _loop(node: yaml.Node, above: tuple[int, ...]) -> yaml.Node | None:
    """A node that holds itself, by way of an alias."""
    if id(node) in above:
        return node
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    found = (_loop(part, (*above, id(node))) for part in parts)
    return next((loop for loop in found if loop is not None), None)


def _repeated(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Keys that PyYAML would take the last of without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


def _line(node: yaml.Node, place: Sequence[str | int]) -> int:
    """Line, from 1, of the deepest key of `place` that is in the file."""
    line = node.start_mark.line
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1


def _explain(error: ValidationError, node: yaml.Node, path: Path) -> SpecError:
    first = _first(error)
    where, message, hint = _said(first)
    line = _line(node, [int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", where) if part])
    return SpecError(f"{path}:{line}: {where}: {message}.", hint=hint)


def _first(error: ValidationError) -> Any:
    """A misspelt key before the missing one that it causes."""
    errors = error.errors(include_url=False)
    # Of a list where one name or several may stand, what is wrong is not that it is no name.
    telling = [e for e in errors if not (e["type"] == "string_type" and isinstance(e["input"], list))]
    return next((e for e in errors if e["type"] == "extra_forbidden"), (telling or errors)[0])


def _said(error: Any) -> tuple[str, str, str]:
    """(place, message, hint) of one of pydantic's errors."""
    # pydantic adds the branch of a union that it tried: a type's name, never a key of ours.
    loc = [part for part in error["loc"] if isinstance(part, int) or _is_key(part)]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        known = keys_at(TaskFile, loc[:-1])
        return where, "unknown key", known_names("keys", str(loc[-1]), known)
    if kind == "missing":
        return where, "the key is missing", "Add it."
    if kind == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        key, colon, rest = message.partition(": ")
        if colon and re.fullmatch(r"[\w.]+", key):
            return ".".join(filter(None, [where, key])), rest, "Change that key."
        return where or "file", message, "Keep one of them." if "two ways" in message else "Change that key."
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
        if not allowed:
            return where, f"{given!r} is not {error['ctx']['expected']}", f"Write {error['ctx']['expected']}."
        close = difflib.get_close_matches(str(given), allowed, n=1)
        guess = f"Did you mean {close[0]}? " if close else ""
        return where, f"{given!r} is not allowed", f"{guess}Use one of {', '.join(allowed)}."
    if kind == "string_type" and isinstance(given, bool):
        return where, f"YAML reads the word there as {str(given).lower()}", "Put it in quotes."
    if kind == "string_type" and not isinstance(given, dict | list | None):
        return where, f"YAML reads {given} there as no text", "Put it in quotes."
    if kind == "too_short":
        return where, "the list is empty", "Name at least one, or leave the key out."
    if kind in ("tuple_type", "model_type"):
        wanted = "list, [in, brackets]" if kind == "tuple_type" else "list of keys, {key: value}"
        return where, f"{_short(given)} is no {wanted}", f"Write a {wanted}."
    if kind == "string_pattern_mismatch":
        hint = {
            "name": "Use small letters, digits and _, a letter first.",
            "hook": "Write `module:function` or `file.py:function`.",
        }.get(where, "Change it.")
        return where, f"{given!r} does not fit", hint
    message = error["msg"][0].lower() + error["msg"][1:]
    return where or "file", f"{message}, not {_short(given)}", "Change the value."


def _is_key(part: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_ \-]+", part) is not None and part not in _BRANCHES


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _resolved(file: TaskFile, path: Path) -> TaskFile:
    folder = path.resolve().parent
    changes: dict[str, Any] = {}
    source = file.dataset
    if source.format != "hub":
        local = Path(source.path).expanduser()
        beside = local if local.is_absolute() else folder / local
        if beside.exists():
            changes["dataset"] = source.model_copy(update={"path": str(beside)})
        elif source.path.startswith((".", "~", "/")):
            line = _line(_compose(path), ["dataset", "path"])
            raise SpecError(
                f"{path}:{line}: dataset.path: there is no {beside}.",
                hint="Correct the path; a relative one starts at the task file's folder.",
            )
    if file.hook and ".py:" in file.hook:
        changes["hook"] = str(folder / file.hook)
    return file.model_copy(update=changes) if changes else file
