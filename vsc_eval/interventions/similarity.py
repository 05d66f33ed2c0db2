"""How alike feature sets are: two of an intervention, in their features and in the directions that these write to; and
a set and those that other items would have chosen, the selection being repeated on bootstrap samples of orbits.

Orbits are drawn with replacement within each task, so that no task is lost and each keeps its number of orbits.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsc_eval.errors import SpecError
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.interventions.select import SelectionRule, score_tables
from vsc_eval.records import Record
from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import Firing
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import FeatureSet

Matrix = tuple[tuple[float, ...], ...]

_RANDOM_PAIRS = 100


class SetOverlap(Record):
    """`overlap.json`. Matrices are [sets, sets] in the order of `names`."""

    names: tuple[str, ...]
    jaccard: Matrix
    """Shared features over all features of the two."""
    decoder_cosine: Matrix
    """Mean over the features of both sets of the cosine with the most similar decoder row of the other set; 1 for equal
    sets, and between unlike sets a little above 0, since it is a mean of maxima: see `decoder_cosine_random`."""
    decoder_cosine_random: float | None
    """The same between disjoint random sets of the mean size, among features that fire; None if there are too few."""
    mean_delta_cosine: tuple[tuple[float | None, ...], ...]
    """Cosine of the two sets' mean directions, sum of W_dec rows weighted by the features' mean activation over all
    tokens: where scaling or ablating pushes on average. None where a set's mean direction is zero."""


def jaccard(a: Sequence[int], b: Sequence[int]) -> float:
    """Shared indices over all indices of two sets that are not both empty."""
    left, right = set(a), set(b)
    return len(left & right) / len(left | right)


def decoder_cosine(weights: Tensor, a: Sequence[int], b: Sequence[int]) -> float:
    """Mean max cosine, both ways: every feature with its nearest in the other set, rows of `weights` [F, d]."""
    left, right = (torch.nn.functional.normalize(_rows(weights, features), dim=1) for features in (a, b))
    cosines = left @ right.T
    return float(cosines.amax(1).sum() + cosines.amax(0).sum()) / (len(a) + len(b))


def set_overlap(sets: Sequence[FeatureSet], sae: SAE, firing: Firing) -> SetOverlap:
    """All three measures between every two of `sets`. The random reference has a stream of its own."""
    weights = sae.W_dec.detach()
    means = firing.mean.double()
    pushes = [means[list(s.indices)] @ _rows(weights, s.indices) for s in sets]
    return SetOverlap(
        names=tuple(s.name for s in sets),
        jaccard=tuple(tuple(jaccard(a.indices, b.indices) for b in sets) for a in sets),
        decoder_cosine=tuple(tuple(decoder_cosine(weights, a.indices, b.indices) for b in sets) for a in sets),
        decoder_cosine_random=_random_reference(weights, sets, firing),
        mean_delta_cosine=tuple(tuple(_cosine(a, b) for b in pushes) for a in pushes),
    )


def _cosine(a: Tensor, b: Tensor) -> float | None:
    lengths = float(a.norm() * b.norm())
    return float(a @ b) / lengths if lengths > 0 else None


def _rows(weights: Tensor, features: Sequence[int]) -> Tensor:
    """Float64 on the CPU. Only those that are asked for: a copy of a large SAE's decoder takes gigabytes."""
    return weights[list(features)].cpu().double()


def _random_reference(weights: Tensor, sets: Sequence[FeatureSet], firing: Firing) -> float | None:
    alive = firing.frequency.nonzero().squeeze(1).numpy()
    size = round(sum(len(s.indices) for s in sets) / len(sets))
    if len(alive) < 2 * size:
        return None
    rng = np.random.default_rng(derived_seed("decoder cosine of random sets"))
    drawn = [rng.choice(alive, 2 * size, replace=False).tolist() for _ in range(_RANDOM_PAIRS)]
    return float(np.mean([decoder_cosine(weights, pair[:size], pair[size:]) for pair in drawn]))


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
    """Repeat the selection `draws` times; `sets` are those of the whole harvest, one for each of its tasks. `progress`
    is told the number of features just scored. Raises SpecError if the sets are not the harvest's tasks."""
    tasks = tuple(dict.fromkeys(harvest.tasks))
    if tuple(s.task for s in sets) != tasks:
        raise SpecError(
            f"The sets are of the tasks {[s.task for s in sets]}, the harvest of {list(tasks)}.",
            hint="Give the sets that were selected on this harvest.",
        )
    weights = np.stack([orbit_weights(harvest, seed=seed, draw=draw) for draw in range(draws)])
    tables = score_tables(harvest.pooled, harvest.tasks, tasks, rule, weights, progress)
    found = []
    for full, *chosen in zip(sets, *(table.chosen(rule) for table in tables), strict=True):
        samples = [features.tolist() for features in chosen]
        overlaps = np.array([jaccard(full.indices, features) for features in samples])
        low, median, high = np.quantile(overlaps, [0.025, 0.5, 0.975]).tolist()
        stability = SetStability(
            name=full.name,
            jaccard_mean=float(overlaps.mean()),
            jaccard_low=low,
            jaccard_median=median,
            jaccard_high=high,
            n_short=sum(len(features) < rule.m for features in samples),
            selection_frequency=tuple(float(np.mean([i in features for features in samples])) for i in full.indices),
        )
        found.append(stability)
    return Stability(draws=draws, seed=seed, sets=tuple(found))


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
