"""Metrics by the name that a task file gives in `score`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vsc_eval.errors import SpecError
from vsc_eval.metrics.base import Metric
from vsc_eval.metrics.chartqa import ChartQA
from vsc_eval.metrics.cv_bench import CVBench
from vsc_eval.metrics.exact import Exact, RealWorldQA
from vsc_eval.metrics.naturalbench import NaturalBench
from vsc_eval.metrics.pope import Pope

_ALL: tuple[Metric, ...] = (Exact(), CVBench(), Pope(), NaturalBench(), ChartQA(), RealWorldQA())

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})


def get(name: str) -> Metric:
    """The metric of that name. Raises SpecError for an unknown one."""
    if name not in METRICS:
        raise SpecError(f"There is no metric '{name}'.", hint=f"Use one of {', '.join(METRICS)}.")
    return METRICS[name]
