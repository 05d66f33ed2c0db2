"""Would other items have chosen the same features? The selection is repeated on bootstrap samples of orbits.

Orbits are drawn with replacement within each task, so that no task is lost and each keeps its number of orbits.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vsc_eval.errors import SpecError
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.interventions.overlap import jaccard
from vsc_eval.interventions.select import SelectionRule, score_tables
from vsc_eval.records import Record
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import FeatureSet


class SetStability(Record):
    """One set beside the sets that the samples chose for its task."""

    name: str
    jaccard_mean: float
    jaccard_low: float
    """2.5 % quantile over the samples."""
    jaccard_median: float
    jaccard_high: float
    """97.5 % quantile."""
    n_short: int
    """Samples in which fewer features than the rule asks for were eligible; they count with those that were."""
    selection_frequency: tuple[float, ...]
    """Share of the samples that chose each of the set's features, in the order of its indices."""


class Stability(Record):
    """`stability.json`."""

    draws: int
    seed: int
    resampled: str = "orbits, with replacement within each task"
    sets: tuple[SetStability, ...]


def set_stability(
    sets: Sequence[FeatureSet],
    harvest: Harvest,
    rule: SelectionRule,
    *,
    draws: int,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> Stability:
    """Repeat the selection `draws` times; `sets` are those of the whole harvest, one for each of its tasks.

    `progress` is told the number of features just scored. Raises SpecError if the sets are not the harvest's tasks.
    """
    tasks = tuple(dict.fromkeys(harvest.tasks))
    if tuple(s.task for s in sets) != tasks:
        raise SpecError(
            f"The sets are of the tasks {[s.task for s in sets]}, the harvest of {list(tasks)}.",
            hint="Give the sets that were selected on this harvest.",
        )
    weights = np.stack([orbit_weights(harvest, seed=seed, draw=draw) for draw in range(draws)])
    tables = score_tables(harvest.pooled, harvest.tasks, tasks, rule, weights, progress)
    by_set = zip(*(table.chosen(rule) for table in tables), strict=True)
    summaries = (
        _summary(full, [c.tolist() for c in chosen], rule.m) for full, chosen in zip(sets, by_set, strict=True)
    )
    return Stability(draws=draws, seed=seed, sets=tuple(summaries))


def _summary(full: FeatureSet, chosen: list[list[int]], m: int) -> SetStability:
    overlaps = np.array([jaccard(full.indices, features) for features in chosen])
    low, median, high = np.quantile(overlaps, [0.025, 0.5, 0.975])
    return SetStability(
        name=full.name,
        jaccard_mean=float(overlaps.mean()),
        jaccard_low=float(low),
        jaccard_median=float(median),
        jaccard_high=float(high),
        n_short=sum(len(features) < m for features in chosen),
        selection_frequency=tuple(float(np.mean([i in features for features in chosen])) for i in full.indices),
    )


def orbit_weights(harvest: Harvest, *, seed: int, draw: int) -> NDArray[np.int64]:
    """How often each item is in the bootstrap sample, [n]; the items of an orbit are there equally often."""
    rng = np.random.default_rng(derived_seed("selection stability", seed, draw))
    task_of = harvest.task_of_orbit()
    times: dict[str, int] = {}
    for task in dict.fromkeys(task_of.values()):
        orbits = [orbit for orbit, of_task in task_of.items() if of_task == task]
        counts = np.bincount(rng.integers(len(orbits), size=len(orbits)), minlength=len(orbits))
        times |= dict(zip(orbits, counts.tolist(), strict=True))
    return np.array([times[orbit] for orbit in harvest.orbits])
