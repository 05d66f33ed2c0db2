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
    metric.canonicalise(items[0])                # "yes": the answer to compare between conditions
    figures = metric.aggregate(items)            # {"accuracy": Quantity, "yes_rate": Quantity, "f1[random]": ...}
    metrics.estimate(figures["yes_rate"], clusters, rng, cluster_name="image")    # -> vsc_eval.stats.Figure
    metrics.estimate(metrics.difference(base["f1"], edited["f1"]), clusters, rng, cluster_name="image")

`aggregate` keeps the order and number of the items it was given, so `clusters` [items] belongs to the same list. Pass
one condition's items at a time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.extract import INVALID
from vsc_eval.stats.bootstrap import DRAWS, LEVEL, Clusters, Figure, Floats, bootstrap_means, cluster_sums

Mask = npt.NDArray[np.bool_]
_MOST_UNDEFINED = 0.05
"""Share of draws in which a ratio may have no denominator before its interval is given up."""


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

    def stranger(self, column: str, what: str, hint: str) -> DataError:
        """The error that a column's value is no `what`."""
        return DataError(
            f"Item '{self.id}': column '{column}' holds '{self.column(column)}', which is no {what}.", hint=hint
        )


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


class Metric:
    """A data set's official metric. This one is `exact`: the answer is one of the right ones, as parsed."""

    name = "exact"
    columns: tuple[str, ...] = ()
    """Columns of the row that must be in `ScoredItem.fields`, by the official data set's names."""
    main = "accuracy"
    """The figure to show where there is room for one."""

    def score(self, item: ScoredItem) -> float:
        """1.0 or 0.0. Raises ValueError for an invalid gold."""
        return float(item.answer in item.golds)

    def canonicalise(self, item: ScoredItem) -> str:
        """The answer to compare between conditions: the gold where the answer counts as right, else the answer."""
        return item.gold if self.score(item) else item.answer

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """All figures by name; those of a category are named `figure[category]`. Raises DataError where a column is
        missing or holds a value that the metric does not know."""
        return {"accuracy": share(self._right(items)), "invalid_rate": invalid_rate(items)}

    def _right(self, items: Sequence[ScoredItem]) -> Mask:
        """Which items are right [items]."""
        return np.array([self.score(item) == 1.0 for item in items], dtype=bool)


EXACT = Metric()


def ratio(means: Floats) -> Floats:
    """means [..., 2] -> first over second; nan where the second is 0."""
    above, below = means[..., 0], means[..., 1]
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def share(hits: Mask, of: Mask | None = None, *, unit: str = "items", undefined: str = "no items") -> Quantity:
    """The share of `hits` [items] among the items of the mask `of`, or among all."""
    among = np.ones(len(hits), dtype=bool) if of is None else of
    values = np.stack([hits & among, among]).astype(np.float64)
    return Quantity(values, ratio, int(among.sum()), unit, undefined)


def shares(
    figure: str, hits: Mask, labels: Sequence[str], names: Iterable[str], *, undefined: str = "no items"
) -> dict[str, Quantity]:
    """`figure[name]` of each name: the share of `hits` [items] among the items of that label. `{}` in `undefined` is
    the name."""
    label = np.array(labels, dtype=np.str_)
    return {f"{figure}[{name}]": share(hits, label == name, undefined=undefined.format(name)) for name in names}


def invalid_rate(items: Sequence[ScoredItem], of: Mask | None = None, *, undefined: str = "no items") -> Quantity:
    """The share of answers that could not be read."""
    return share(np.array([item.answer == INVALID for item in items], dtype=bool), of, undefined=undefined)


def difference(baseline: Quantity, condition: Quantity) -> Quantity:
    """condition - baseline of the same figure on the same items in the same order, to be resampled together."""
    if baseline.values.shape != condition.values.shape:
        raise ValueError(f"figures of different items: {baseline.values.shape} and {condition.values.shape}")
    k = len(baseline.values)

    def gap(means: Floats) -> Floats:
        return condition.statistic(means[..., k:]) - baseline.statistic(means[..., :k])

    blamed = baseline if baseline.value() is None else condition
    return replace(blamed, values=np.concatenate([baseline.values, condition.values]), statistic=gap)


def estimate(
    quantity: Quantity,
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    cluster_name: str,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Figure:
    """The figure with a percentile interval; `clusters` [items] in the order of the items it was aggregated from.

    A figure that is undefined (no answer is "yes", so no precision) is None with its reason. Draws in which it is
    undefined are left out; with more than 5% of them there is no interval.
    """
    method = f"{level:.0%} percentile bootstrap, {draws} draws, clustered by {cluster_name}"
    if quantity.values.shape[-1] == 0:
        return Figure(None, None, None, 0, 0, method, "no items")
    sums, sizes = cluster_sums(quantity.values, clusters)
    value, reason = float(quantity.statistic(sums.sum(axis=1) / sizes.sum())), None
    low = high = None
    if not np.isfinite(value):
        reason = quantity.undefined
    elif len(sizes) < 2:
        reason = f"only one {cluster_name}"
    else:
        drawn = quantity.statistic(bootstrap_means(sums, sizes, rng, draws))
        defined = drawn[np.isfinite(drawn)]
        if len(defined) < (1 - _MOST_UNDEFINED) * len(drawn):
            reason = f"{quantity.undefined} in {1 - len(defined) / len(drawn):.0%} of the draws"
        elif np.ptp(defined) <= 1e-12:
            reason = f"every {cluster_name} gives the same value"
        else:
            low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist()
    shown = value if np.isfinite(value) else None
    return Figure(shown, low, high, quantity.n, len(sizes), method, reason)
