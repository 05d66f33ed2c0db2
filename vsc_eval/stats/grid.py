"""The cluster bootstrap of many conditions on many groups of items: a table of intervals in one go.

Within a group all rows share the weights of each draw. Every group has a generator of its own, so no figure depends on
which other groups are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vsc_eval.stats.bootstrap import DRAWS, LEVEL, Floats, bootstrap_many
from vsc_eval.stats.estimate import Estimate

G = TypeVar("G", bound=Hashable)


def grid_bootstrap(
    values: npt.ArrayLike,
    clusters: npt.NDArray[np.str_],
    groups: Mapping[G, npt.NDArray[np.bool_]],
    rng_of: Callable[[G], np.random.Generator],
    *,
    statistic: Callable[[Floats], Floats] | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    cluster_name: str = "orbit",
) -> dict[G, tuple[Estimate, ...]]:
    """For each group the estimates of every row of `values` [k, items].

    `groups` maps names to masks [items]; `rng_of` gives the generator of a group. Each estimate is what
    `cluster_bootstrap` gives for that row and those items with that generator.
    """
    array = np.asarray(values, dtype=np.float64)
    # Sorting names of clusters costs more than sorting numbers, and each group does it again.
    _, numbers = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    return {
        group: bootstrap_many(
            array[:, mask],
            numbers[mask],
            rng_of(group),
            statistic=statistic,
            draws=draws,
            level=level,
            cluster_name=cluster_name,
        )
        for group, mask in groups.items()
    }
