"""How alike feature sets are: in their features, and in the directions that these write to."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vsc_eval.interventions.harvest import Firing
from vsc_eval.records import Record
from vsc_eval.sae.model import SAE
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
