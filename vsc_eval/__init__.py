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
    from vsc_eval.api.activations import Activations as Activations
    from vsc_eval.api.intervention import Condition as Condition
    from vsc_eval.api.intervention import FeatureSet as FeatureSet
    from vsc_eval.api.intervention import Intervention as Intervention
    from vsc_eval.api.intervention import load_intervention as load_intervention
    from vsc_eval.api.model import Model as Model
    from vsc_eval.api.model import load_model as load_model
    from vsc_eval.api.runs import Run as Run
    from vsc_eval.api.runs import Study as Study
    from vsc_eval.api.runs import read as read
    from vsc_eval.api.runs import run as run
    from vsc_eval.errors import BackendError as BackendError
    from vsc_eval.errors import DataError as DataError
    from vsc_eval.errors import SpecError as SpecError
    from vsc_eval.errors import VscError as VscError
    from vsc_eval.synthetic import find_item as find_item
    from vsc_eval.synthetic import make_items as make_items

__version__ = "0.1.0"

_HOMES = {
    "api.activations": ("Activations",),
    "api.intervention": ("Condition", "FeatureSet", "Intervention", "load_intervention"),
    "api.model": ("Model", "load_model"),
    "api.runs": ("Run", "Study", "read", "run"),
    "errors": ("BackendError", "DataError", "SpecError", "VscError"),
    "synthetic": ("find_item", "make_items"),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
