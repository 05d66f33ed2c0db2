"""CV-Bench's combined score (Cambrian-1, arXiv:2406.16860, appendix C).

    1/2 ((ADE20K + COCO) / 2 + Omni3D)

where each name is the accuracy on the items of that source: the mean of 2D and 3D, and 2D the mean of its two sources.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vsc_eval.errors import DataError
from vsc_eval.metrics.base import Floats, Quantity, ScoredItem
from vsc_eval.metrics.exact import Exact, invalid
from vsc_eval.metrics.quantities import of_shares, share

SOURCES = ("ADE20K", "COCO", "Omni3D")


class CVBench(Exact):
    """Accuracy by source and by task, and the combined score."""

    name = "cv_bench"
    columns = ("source", "task")
    main = "combined"

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`combined`, `2D`, `3D`, `accuracy`, `accuracy[SOURCE]`, `accuracy[TASK]`, `invalid_rate`.

        The three scores are undefined where a source has no items, as in a run of the 2D half alone.
        """
        right = self.right(items)
        sources = np.array([_source(item) for item in items], dtype=np.str_)
        by_source = {name: share(right, sources == name, undefined=f"no items from {name}") for name in SOURCES}
        missing = [name for name in SOURCES if name not in sources]
        undefined = f"no items from {' and '.join(missing)}"
        tasks = np.array([item.column("task") for item in items], dtype=np.str_)
        parts = tuple(by_source.values())
        return {
            "combined": of_shares(parts, _combined, undefined=undefined),
            "2D": of_shares(parts[:2], lambda shares: shares.mean(axis=-1), undefined=undefined),
            "3D": by_source["Omni3D"],
            "accuracy": share(right),
            **{f"accuracy[{name}]": part for name, part in by_source.items()},
            **{f"accuracy[{name}]": share(right, tasks == name) for name in sorted(set(tasks.tolist()))},
            "invalid_rate": share(invalid(items)),
        }


def _combined(shares: Floats) -> Floats:
    ade20k, coco, omni3d = (shares[..., j] for j in range(3))
    return ((ade20k + coco) / 2 + omni3d) / 2


def _source(item: ScoredItem) -> str:
    known = {name.casefold(): name for name in SOURCES}
    value = item.column("source")
    if value.casefold() not in known:
        raise DataError(
            f"Item '{item.id}': column 'source' holds '{value}', which is no source of CV-Bench.",
            hint=f"They are {', '.join(SOURCES)}. For other data leave `score` out of the task file.",
        )
    return known[value.casefold()]


CV_BENCH = CVBench()
