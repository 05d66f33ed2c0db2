"""Official metrics of external data sets: pure functions of parsed answers. See docs/metrics.md for every difference
from the published scripts.

`METRICS` has them by the name that a task file gives in `score`. Another package adds one by an entry point of the
group `vsc_eval.metrics` (see vsc_eval.registry).
"""

from typing import Any

from vsc_eval.metrics.base import Metric, Quantity, ScoredItem, difference, estimate
from vsc_eval.registry import Registry

__all__ = ["METRICS", "Metric", "Quantity", "ScoredItem", "difference", "estimate", "get"]


def _fault(thing: Any) -> str | None:
    lacking = [part for part in dir(Metric) if not part.startswith("_") and not hasattr(thing, part)]
    return f"it has no {', '.join(lacking)}" if lacking else None


_OFFICIAL = ("cv_bench", "pope", "naturalbench", "chartqa", "realworldqa")
METRICS: Registry[Metric] = Registry(
    "metric",
    "vsc_eval.metrics",
    {"exact": "vsc_eval.metrics.base:EXACT", **{n: f"vsc_eval.metrics.{n}:{n.upper()}" for n in _OFFICIAL}},
    object,
    _fault,
)

get = METRICS.get
