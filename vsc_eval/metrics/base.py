"""What a metric of an external data set is: a score for one item, and named figures of many.

A metric sees answers as the extractor read them, never texts. It gives no intervals: a figure is k values for every
item and a statistic of their k means, which is what a cluster bootstrap resamples, so one resampling serves them all.

    metric = metrics.get("pope")                 # SpecError for an unknown name
    metric.columns                               # ("category",): what `fields` must hold
    items = [
        ScoredItem(id="pope/1", answer="yes", gold="no", fields={"category": "random"}),
        ScoredItem(id="pope/2", answer="invalid", gold="yes", fields={"category": "popular"}),
    ]
    metric.score(items[0])                       # 0.0; lm-eval averages these
    metric.canonicalise(items[0])                      # "yes": the answer to compare between conditions
    figures = metric.aggregate(items)            # {"accuracy": Quantity, "yes_rate": Quantity, "f1[random]": ...}
    metrics.estimate(figures["yes_rate"], clusters, rng, cluster_name="image")    # -> vsc_eval.stats.Figure
    metrics.estimate_difference(base["f1"], edited["f1"], clusters, rng, cluster_name="image")

`aggregate` keeps the order and number of the items it was given, so `clusters` [items] belongs to the same list. Pass
one condition's items at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.extract import INVALID

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScoredItem:
    """One item with the answer that was read from one condition's text."""

    id: str
    answer: str
    """As `vsc_eval.extract.extract` gave it: a canonical answer or `invalid`."""
    gold: str
    """In the same canonical form. Never `invalid`: every metric refuses that with ValueError."""
    accepted: tuple[str, ...] = ()
    """All right answers in canonical form where there are several; empty: only `gold`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The row's columns that the metric names in `columns`, as text."""

    @property
    def golds(self) -> tuple[str, ...]:
        """All right answers. Raises ValueError if one of them is `invalid`, which would make a bad answer right."""
        golds = self.accepted or (self.gold,)
        if INVALID in (*golds, self.gold):
            raise ValueError(f"item {self.id}: a gold answer cannot be invalid")
        return golds

    def column(self, name: str) -> str:
        """The row's value in a column. Raises DataError where it is missing."""
        if name not in self.fields:
            raise DataError(
                f"Item '{self.id}' has no column '{name}', which its metric needs.",
                hint="Use the official data set's columns, or leave `score` out of the task file.",
            )
        return self.fields[name]


@dataclass(frozen=True)
class Quantity:
    """A figure of a list of items: `statistic` of the k means of `values` [k, items].

    `statistic` maps means [..., k] to [...] and gives nan where the figure is undefined.
    """

    values: Floats
    statistic: Callable[[Floats], Floats]
    n: int
    """How many units it is taken over."""
    unit: str = "items"
    """What is counted: items, questions, images, groups."""
    undefined: str = "undefined"
    """Why the figure is undefined, where it is."""

    def value(self) -> float | None:
        """The figure itself; None where it is undefined or there is no item."""
        if self.values.shape[-1] == 0:
            return None
        found = float(self.statistic(self.values.mean(axis=-1)))
        return found if np.isfinite(found) else None


class Metric(Protocol):
    """A data set's official metric."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the row that must be in `ScoredItem.fields`, by the official data set's names."""
        ...

    @property
    def main(self) -> str:
        """The figure to show where there is room for one."""
        ...

    def score(self, item: ScoredItem) -> float:
        """1.0 or 0.0. Raises ValueError for an invalid gold."""
        ...

    def canonicalise(self, item: ScoredItem) -> str:
        """The answer to compare between conditions: the gold where the answer counts as right, else the answer."""
        ...

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """All figures by name; those of a category are named `figure[category]`. Raises DataError where a column is
        missing or holds a value that the metric does not know."""
        ...
