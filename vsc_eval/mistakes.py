"""What is wrong with an input, in the user's words: where it stands, what is wrong there, and how to fix it."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from vsc_eval.errors import SpecError, known_names
from vsc_eval.yaml_files import YamlFile

_KEY = re.compile(r"(?!(str|dict|bool|int|float|constrained-str|expression|condition)$)[A-Za-z0-9_ \-]+")
"""Not the branches of unions, which pydantic adds to the place of an error; none is a key of ours."""

M = TypeVar("M", bound=BaseModel)
Mistake = tuple[tuple[str | int, ...], str, str]
"""Place, message and hint of the first thing wrong with an input."""


def keys_at(model: type[BaseModel], path: Iterable[str | int]) -> list[str]:
    """Keys that `model` knows at a place inside it, given as field names and list positions."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def place_words(path: Iterable[str | int]) -> str:
    """`sets[0].indices` from ("sets", 0, "indices")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "top level"


def explain(
    error: ValidationError, model: type[BaseModel], source: str | YamlFile, hints: Mapping[str, str] | None = None
) -> SpecError:
    """The first mistake as a SpecError that names the source, with the line in a file, the place and the fix. `hints`:
    key -> what to do where its value does not fit its pattern."""
    place, message, hint = first_mistake(error, model, hints)
    here = source.at(place) if isinstance(source, YamlFile) else source
    where = f"{place_words(place)}: " if place else ""
    return SpecError(f"{here}: {where}{message}.", hint=hint)


def validated(model: type[M], values: Any, source: str | YamlFile, hints: Mapping[str, str] | None = None) -> M:
    """The model of these values. Raises SpecError as `explain` says it."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise explain(error, model, source, hints) from error


def first_mistake(error: ValidationError, model: type[BaseModel], hints: Mapping[str, str] | None = None) -> Mistake:
    """The first thing wrong; a misspelt key comes before the missing one that it causes."""
    errors = error.errors(include_url=False)
    # Of a list where one name or several may stand, what is wrong is not that it is no name.
    telling = [e for e in errors if not (e["type"] == "string_type" and isinstance(e["input"], list))]
    first: Any = next((e for e in errors if e["type"] == "extra_forbidden"), (telling or errors)[0])
    # Branches of unions are no keys.
    place = tuple(part for part in first["loc"] if isinstance(part, int) or _KEY.fullmatch(part))
    if first["type"] == "extra_forbidden":
        return place, "unknown key", known_names("keys", str(place[-1]), keys_at(model, place[:-1]))
    if first["type"] == "value_error":
        return _of_a_validator(place, first["msg"].removeprefix("Value error, "))
    return place, *_said(first, str(place[-1]) if place else "", hints or {})


def _of_a_validator(place: tuple[str | int, ...], message: str) -> Mistake:
    """A message may begin with the key below `place` that it is about: `fields.choices: the key is missing`."""
    key, colon, rest = message.partition(": ")
    if colon and re.fullmatch(r"[\w.]+", key):
        place, message = (*place, *key.split(".")), rest
    return place, message, "Keep one of them." if "two ways" in message else "Change the value."


def _said(error: Any, key: str, hints: Mapping[str, str]) -> tuple[str, str]:
    """(message, hint) of one of pydantic's errors."""
    given = error.get("input")
    match error["type"]:
        case "missing":
            return "the key is missing", "Add it."
        case "literal_error":
            return _not_among(given, str(error["ctx"]["expected"]))
        case "string_type" if isinstance(given, bool):
            return f"YAML reads the word there as {str(given).lower()}", "Put it in quotes."
        case "string_type" if not isinstance(given, dict | list | tuple | None):
            return f"YAML reads {given} there as no text", "Put it in quotes."
        case "too_short":
            return "the list is empty", "Name at least one, or leave the key out."
        case "tuple_type" | "model_type":
            wanted = "list, [in, brackets]" if error["type"] == "tuple_type" else "list of keys, {key: value}"
            return f"{shortened(repr(given))} is no {wanted}", f"Write a {wanted}."
        case "string_pattern_mismatch":
            return f"{given!r} does not fit", hints.get(key, "Change it.")
    message = error["msg"][0].lower() + error["msg"][1:].partition(", unable to")[0]
    return f"{message}, not {shortened(repr(given))}", "Change the value."


def _not_among(given: Any, expected: str) -> tuple[str, str]:
    if not (allowed := re.findall(r"'([^']*)'", expected)):
        return f"{given!r} is not {expected}", f"Write {expected}."
    close = difflib.get_close_matches(str(given), allowed, n=1)
    guess = f"Did you mean {close[0]}? " if close else ""
    return f"{given!r} is not allowed", f"{guess}Use one of {', '.join(allowed)}."


def shortened(text: str, most: int = 60) -> str:
    """`text`, or its beginning where it is longer."""
    return text if len(text) <= most else text[: most - 3] + "..."
