"""Building blocks of figures: shares and functions of shares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vsc_eval.metrics.base import Floats, Mask, Quantity


def ratio(means: Floats) -> Floats:
    """means [..., 2] -> first over second; nan where the second is 0."""
    above, below = means[..., 0], means[..., 1]
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def share(hits: Mask, of: Mask | None = None, *, unit: str = "items", undefined: str = "no items") -> Quantity:
    """The share of `hits` [items] among the items of the mask `of`, or among all."""
    among = np.ones(len(hits), dtype=bool) if of is None else of
    values = np.stack([hits & among, among]).astype(np.float64)
    return Quantity(values, ratio, int(among.sum()), unit, undefined)


def of_shares(
    shares: tuple[Quantity, ...], function: Callable[[Floats], Floats], *, unit: str = "items", undefined: str
) -> Quantity:
    """A function of several shares of the same items: it takes shares [..., j] and returns [...]."""
    values = np.concatenate([part.values for part in shares])

    def statistic(means: Floats) -> Floats:
        pairs = [ratio(means[..., 2 * j : 2 * j + 2]) for j in range(len(shares))]
        return function(np.stack(pairs, axis=-1))

    return Quantity(values, statistic, sum(part.n for part in shares), unit, undefined)
