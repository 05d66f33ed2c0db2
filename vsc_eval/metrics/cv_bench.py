"""CV-Bench's combined score (Cambrian-1, arXiv:2406.16860, appendix C).

    1/2 ((ADE20K + COCO) / 2 + Omni3D)

where each name is the accuracy on the items of that source: the mean of 2D and 3D, and 2D the mean of its two sources.
"""

from collections.abc import Callable, Sequence

import numpy as np

from vsc_eval.metrics.base import Metric, Quantity, ScoredItem, invalid_rate, ratio, share, shares
from vsc_eval.stats.bootstrap import Floats

SOURCES = ("ADE20K", "COCO", "Omni3D")


class CVBench(Metric):
    """Accuracy by source and by task, and the combined score."""

    name = "cv_bench"
    columns = ("source", "task")
    main = "combined"

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`combined`, `2D`, `3D`, `accuracy`, `accuracy[SOURCE]`, `accuracy[TASK]`, `invalid_rate`.

        The three scores are undefined where a source has no items, as in a run of the 2D half alone.
        """
        right = self._right(items)
        sources = [_source(item) for item in items]
        by_source = shares("accuracy", right, sources, SOURCES, undefined="no items from {}")
        missing = [name for name in SOURCES if name not in sources]
        undefined = f"no items from {' and '.join(missing)}"
        tasks = [item.column("task") for item in items]
        parts = tuple(by_source.values())
        return {
            "combined": _of_sources(parts, lambda ade20k, coco, omni3d: ((ade20k + coco) / 2 + omni3d) / 2, undefined),
            "2D": _of_sources(parts[:2], lambda ade20k, coco: (ade20k + coco) / 2, undefined),
            "3D": parts[-1],
            "accuracy": share(right),
            **by_source,
            **shares("accuracy", right, tasks, sorted(set(tasks))),
            "invalid_rate": invalid_rate(items),
        }


def _of_sources(parts: Sequence[Quantity], function: Callable[..., Floats], undefined: str) -> Quantity:
    """A function of the accuracies on several sources."""

    def statistic(means: Floats) -> Floats:
        return function(*(ratio(means[..., j : j + 2]) for j in range(0, 2 * len(parts), 2)))

    values = np.concatenate([part.values for part in parts])
    return Quantity(values, statistic, sum(part.n for part in parts), undefined=undefined)


def _source(item: ScoredItem) -> str:
    known = {name.casefold(): name for name in SOURCES}
    value = item.column("source")
    if value.casefold() not in known:
        hint = f"They are {', '.join(SOURCES)}. For other data leave `score` out of the task file."
        raise item.stranger("source", "source of CV-Bench", hint)
    return known[value.casefold()]


CV_BENCH = CVBench()
