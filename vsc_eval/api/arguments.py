"""Settings as keyword arguments: those of a spec, so that Python and the command line have the same ones."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from vsc_eval.specs import Spec

F = TypeVar("F", bound=Callable[..., Any])


def takes(model: type[Spec]) -> Callable[[F], F]:
    """Shows the fields of `model`, with what they say of themselves, as keyword arguments of a function that takes
    `**settings`: in its help and where an editor completes names."""

    def shown(function: F) -> F:
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = {name: field for name, field in model.model_fields.items() if name not in {p.name for p in own}}
        defaults = {name: field.get_default(call_default_factory=True) for name, field in added.items()}
        keywords = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=field.annotation)
            for name, field in added.items()
        ]
        function.__signature__ = inspect.Signature([*own, *keywords])  # type: ignore[attr-defined]
        words = [f"    {n}: {' '.join((f.description or '').split())} ({defaults[n]!r})" for n, f in added.items()]
        function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Settings, with their defaults:", *words])
        return function

    return shown
