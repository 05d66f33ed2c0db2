"""Official metrics of external data sets: pure functions of parsed answers. See docs/metrics.md for every difference
from the published scripts."""

from vsc_eval.metrics.base import Metric, Quantity, ScoredItem
from vsc_eval.metrics.intervals import estimate, estimate_difference
from vsc_eval.metrics.registry import METRICS, get

__all__ = ["METRICS", "Metric", "Quantity", "ScoredItem", "estimate", "estimate_difference", "get"]
