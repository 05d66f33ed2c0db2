"""The one reader of YAML files that people write: plain values, each with its line, and errors that name it.

YAML 1.2: `no` and `12:30` are words, `1e-3` is a number. Text and files of any kind end in values or in a SpecError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vsc_eval.errors import SpecError

Place = Sequence[str | int]
"""Keys and list positions that lead to a value."""

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 40
MAX_VALUES = 2_000_000
"""Values with every alias written out: nine lines of aliases can stand for billions."""


@dataclass(frozen=True)
class YamlFile:
    """A file that was read."""

    path: Path
    value: dict[str, Any]
    """Its keys, all of them text."""
    node: MappingNode

    def at(self, place: Place) -> str:
        """`study.yaml:12`: the file and the line, from 1, of the deepest key of `place` that is in it."""
        node: Node = self.node
        line = node.start_mark.line
        for part in place:
            if isinstance(node, MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line, found[1]
            elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line
        return f"{self.path}:{line + 1}"


def read_yaml(path: Path, keys: Sequence[str] = ()) -> YamlFile:
    """Read a file of keys and values; `keys` are named where it holds none. Raises SpecError."""
    hint = f"Its keys are: {', '.join(keys)}." if keys else "Write keys and values."
    node = _compose(_text(path), str(path))
    if not isinstance(node, MappingNode):
        what = {type(None): "is empty", SequenceNode: "holds a list", ScalarNode: "holds a word"}[type(node)]
        raise SpecError(
            f"{path}:1: the file {what}{'' if node is None else ' where keys and values belong'}.", hint=hint
        )
    return YamlFile(path, _plain(node, str(path)), node)


def read_yaml_value(text: str, source: str) -> Any:
    """The value of `NAME=VALUE`; `source` names it in errors. Raises SpecError."""
    node = _compose(text, source)
    return None if node is None else _plain(node, source)


def yaml_text(value: Any) -> str:
    """`value` as YAML that is read back as the same value, keys in their order."""
    text = _dumped(value, allow_unicode=True)
    # U+0085 is written as it is, and read as a line's end.
    return text if read_yaml_value(text, "text") == value else _dumped(value, allow_unicode=False)


def _dumped(value: Any, *, allow_unicode: bool) -> str:
    writer: Any = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.allow_unicode = allow_unicode
    writer.width = 100_000
    stream = StringIO()
    writer.dump(value, stream)
    return stream.getvalue()


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{path} is larger than {MAX_BYTES // 2**20} MB.", hint="Give a file of settings.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError(f"There is no file {path}.", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is no text in UTF-8.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.", hint="Give a file that you may read.") from error


def _compose(text: str, source: str) -> Node | None:
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(StringIO(text))
    except RecursionError as error:
        raise _too_deep(source) from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        hint = "Use spaces, not tabs, to indent." if "\\t" in problem else "Check indentation, colons and quotes there."
        raise SpecError(f"{_line(source, mark)}: no YAML: {problem}.", hint=hint) from error
    if node is not None:
        _check(node, source, (), {})
    return node


def _check(node: Node, source: str, above: tuple[int, ...], sizes: dict[int, int]) -> int:
    """How many values `node` stands for, aliases written out. Raises SpecError for what no settings need."""
    here = _line(source, node.start_mark)
    if id(node) in above:
        raise SpecError(f"{here}: an alias stands inside what it names.", hint="Write the values out.")
    if len(above) > MAX_DEPTH:
        raise _too_deep(here)
    if id(node) not in sizes:
        parts, seen = list(node.value) if isinstance(node, SequenceNode) else [], set()
        for key, value in node.value if isinstance(node, MappingNode) else ():
            if not isinstance(key, ScalarNode):
                raise SpecError(f"{_line(source, key.start_mark)}: a key is no word.", hint="Write `key: value`.")
            # YAML readers keep the last one without a word.
            if key.value in seen:
                where = _line(source, key.start_mark)
                raise SpecError(f"{where}: {key.value}: the key is there twice.", hint="Keep one.")
            seen.add(key.value)
            parts += key, value
        inner = (*above, id(node))
        sizes[id(node)] = 1 + sum(_check(part, source, inner, sizes) for part in parts)
    if sizes[id(node)] > MAX_VALUES:
        raise SpecError(f"{here}: the aliases stand for too many values.", hint="Write out those that are needed.")
    return sizes[id(node)]


def _plain(node: Node, source: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).constructor.construct_document(node)
    except YAMLError as error:
        here = _line(source, getattr(error, "problem_mark", None) or node.start_mark)
        problem = getattr(error, "problem", None) or error
        raise SpecError(f"{here}: {problem}.", hint="Write plain values, without tags.") from error
    except ValueError as error:  # 2024-02-31
        raise SpecError(
            f"{source}: a value looks like a date, but is none: {error}.", hint="Put it in quotes."
        ) from error


def _too_deep(here: str) -> SpecError:
    return SpecError(f"{here}: values are nested more than {MAX_DEPTH} deep.", hint="Write them flat.")


def _line(source: str, mark: Any) -> str:
    return source if mark is None else f"{source}:{mark.line + 1}"
