"""Which decoder layer carries the task: linear probes on every layer, their controls, and the rule that picks one.

Names are looked up on first use: the spec and the records need neither torch nor scikit-learn nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsc_eval.probing.figure import probe_figure
    from vsc_eval.probing.result import ProbeRow, ProbingResult
    from vsc_eval.probing.run import run_probing
    from vsc_eval.probing.spec import LayerRule, ProbingSpec

_HOMES = {
    "LayerRule": "spec",
    "ProbingResult": "result",
    "ProbingSpec": "spec",
    "ProbeRow": "result",
    "probe_figure": "figure",
    "run_probing": "run",
}

__all__ = ["LayerRule", "ProbeRow", "ProbingResult", "ProbingSpec", "probe_figure", "run_probing"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
