"""Evaluate vision-language models with and without sparse-autoencoder interventions.

    import vsc_eval as vsc

    model = vsc.load_model("vsc-tiny")
    iv = vsc.load_intervention("vsc-tiny")
    vsc.run(model, tasks="vsc_easy", n=20, conditions=[iv["counting"].scale(4)]).summary()

Importing this package loads no torch, transformers, vllm, pandas or lm_eval: command lines, spec checks and table
readers must start fast and work where those are not installed. The names below are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsc_eval.api.activations import Activations
    from vsc_eval.api.conditions import Condition, FeatureSet
    from vsc_eval.api.intervention import Intervention, load_intervention
    from vsc_eval.api.model import Model, load_model
    from vsc_eval.api.run_object import Run, Study
    from vsc_eval.api.runs import read, run
    from vsc_eval.errors import BackendError, DataError, SpecError, VscError
    from vsc_eval.synthetic import find_item, make_items

__version__ = "0.1.0"

_HOMES = {
    "Activations": "api.activations",
    "BackendError": "errors",
    "Condition": "api.conditions",
    "DataError": "errors",
    "FeatureSet": "api.conditions",
    "Intervention": "api.intervention",
    "Model": "api.model",
    "Run": "api.run_object",
    "SpecError": "errors",
    "Study": "api.run_object",
    "VscError": "errors",
    "find_item": "synthetic",
    "load_intervention": "api.intervention",
    "load_model": "api.model",
    "make_items": "synthetic",
    "read": "api.runs",
    "run": "api.runs",
}

__all__ = [
    "Activations",
    "BackendError",
    "Condition",
    "DataError",
    "FeatureSet",
    "Intervention",
    "Model",
    "Run",
    "SpecError",
    "Study",
    "VscError",
    "find_item",
    "load_intervention",
    "load_model",
    "make_items",
    "read",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
