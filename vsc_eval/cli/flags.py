"""Command-line options made from the fields of a spec: names, help, choices and defaults stand in the spec alone.

A field's docstring is its help. Fields of a spec inside the spec stand beside its own, under a longer name where two
are called the same. Lists take commas and add up over repeats; pydantic reads the values.
"""

import argparse
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from vsc_eval.errors import SpecError
from vsc_eval.mistakes import first_mistake, place_words
from vsc_eval.settings import marks
from vsc_eval.specs import Spec, split_names
from vsc_eval.yaml_files import read_yaml_value

S = TypeVar("S", bound=Spec)

_LONGEST_DEFAULT = 60
_METAVARS = {int: "N", float: "X", Path: "PATH", list: "NAMES", tuple: "VALUE", dict: "NAME=VALUE"}


class _Flag(NamedTuple):
    path: tuple[str, ...]
    """Names of the fields that lead to the value."""
    option: str
    """`--max-pixels`"""
    field: FieldInfo
    kind: Any
    """Type of the value, without None; of a list, `list` for names and `tuple` for words that are taken whole."""
    short: str

    @property
    def dest(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Flags(Generic[S]):
    """The options of a command that fill a spec. `only` and `skip` choose among its fields, `names` holds option names
    that differ from the field's: {"rule.kind": "rule"}."""

    model: type[S]
    only: Collection[str] | None = None
    skip: Collection[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Add the options. One that is not given leaves no trace in the parsed arguments."""
        for flag in self._flags():
            options = [f"-{flag.short}"] * bool(flag.short) + [flag.option]
            common: dict[str, Any] = {"dest": flag.dest, "default": argparse.SUPPRESS, "help": _help(flag.field)}
            if flag.kind is bool:
                if flag.field.default is True:  # the option switches it off
                    common["help"] = f"unless given: {common['help']}"
                parser.add_argument(*options, action=f"store_{str(not flag.field.default).lower()}", **common)
                continue
            common |= {"required": flag.field.is_required(), "metavar": _METAVARS.get(flag.kind, "NAME")}
            if flag.kind in (list, tuple, dict):
                common |= {"action": "append", "nargs": "+" if flag.kind is list else None}
            elif get_origin(flag.kind) is Literal:
                common |= {"choices": get_args(flag.kind), "metavar": None}
            parser.add_argument(*options, **common)

    def given(self, options: argparse.Namespace) -> dict[str, Any]:
        """What the command line said, as the spec's own data. Raises SpecError."""
        found: dict[str, Any] = {}
        for flag in self._flags():
            if not hasattr(options, flag.dest):
                continue
            value = getattr(options, flag.dest)
            if flag.kind is list:
                value = [name for words in value for word in words for name in split_names(word)]
            elif flag.kind is dict:
                value = named_values(flag.option, value)
            inner = found
            for name in flag.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[flag.path[-1]] = value
        return found

    def read(self, options: argparse.Namespace, command: str, *, base: S | None = None, **more: Any) -> S:
        """The spec that the options say, in place of those of `base` and beside `more`. Raises SpecError, naming the
        option."""
        try:
            before = base.model_dump() if base is not None else {}
            return self.model.model_validate({**before, **more, **self.given(options)})
        except ValidationError as error:
            place, message, hint = first_mistake(error, self.model)
            options_of = {flag.path: flag.option for flag in self._flags()}
            names = tuple(part for part in place if isinstance(part, str))
            for length in range(len(names), 0, -1):
                if names[:length] in options_of:
                    raise SpecError(f"{options_of[names[:length]]}: {message}.", hint=hint) from error
            where = f"{place_words(place)}: " if place else ""
            raise SpecError(f"{command}: {where}{message}.", hint=hint) from error

    def _flags(self) -> Iterator[_Flag]:
        taken: set[str] = set()
        for path, inner, owner in _leaves(self.model, ()):
            dotted = ".".join(path)
            if dotted in self.skip or path[0] in self.skip or (self.only is not None and dotted not in self.only):
                continue
            mark = marks(owner, path[-1])
            kind = _kind(inner.annotation, whole=mark.whole)
            name = self.names.get(dotted) or path[-1].replace("_", "-")
            name = "-".join(path).replace("_", "-") if name in taken else name
            taken.add(name)
            negated = kind is bool and inner.default is True and dotted not in self.names
            yield _Flag(path, f"--{'no-' if negated else ''}{name}", inner, kind, mark.short)


def named_values(option: str, pairs: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE`, each value YAML, of an option that may be repeated. Raises SpecError."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SpecError(f"{option} {pair} is not NAME=VALUE.", hint="Write, for example, tensor_parallel_size=2.")
        if name.strip() in found:
            raise SpecError(f"{option} sets '{name.strip()}' twice.", hint="Keep one of the two.")
        found[name.strip()] = read_yaml_value(text, f"{option} {pair}")
    return found


def _leaves(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldInfo, Any]]:
    """(path, field, its model) of every field, the model's own before those of the models in it."""
    inside = {}
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            inside[name] = info.annotation
        else:
            yield (*above, name), info, model
    for name, inner in inside.items():
        yield from _leaves(inner, (*above, name))


def _kind(annotation: Any, *, whole: bool) -> Any:
    alternatives = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) is tuple:
        return tuple if whole or alternatives[0] is Path else list
    if get_origin(annotation) is dict:
        return dict
    if NoneType in get_args(annotation) and get_origin(annotation) is not Literal:
        return alternatives[0]
    return annotation


def _help(info: FieldInfo) -> str:
    text = " ".join((info.description or "").split()).replace("%", "%%").removesuffix(".")
    if text[1:2].islower() or text[1:2] == " ":
        text = text[0].lower() + text[1:]
    default = info.get_default(call_default_factory=True) if not info.is_required() else None
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    if default in (None, (), {}) or isinstance(default, bool) or len(shown) > _LONGEST_DEFAULT:
        return text
    return f"{text} (default: {shown})"
