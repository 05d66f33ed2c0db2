"""Activations whose truth is known, in the place of a model's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vsc_eval.probing.activations import InputKind, Part, Sample, draw_samples
from vsc_eval.probing.probes import Floats
from vsc_eval.probing.records import Pooling, ProbingSpec
from vsc_eval.stats import stream

Make = Callable[[np.random.Generator, Sample, InputKind, int, Pooling], "Floats | None"]


class Planted:
    """Activations by `make`, each from a random stream of its own."""

    def __init__(self, spec: ProbingSpec, make: Make) -> None:
        self.samples: dict[Part, Sample] = draw_samples(spec)
        self._make = make

    def features(self, kind: InputKind, part: Part, layer: int, pooling: Pooling) -> Floats | None:
        rng = stream(7, kind, part, str(layer), pooling)
        return self._make(rng, self.samples[part], kind, layer, pooling)


def noise(rng: np.random.Generator, sample: Sample, width: int = 24) -> Floats:
    return rng.standard_normal((len(sample.items), width))


def codes(names: list[str], width: int = 24) -> Floats:
    """One random direction of length 3 for each name, the same for the same name everywhere."""
    table = {name: stream(11, name).standard_normal(width) for name in set(names)}
    return np.stack([3 * table[name] / np.linalg.norm(table[name]) for name in names])
