"""What a model's features did on the selection items: the selection rule, its controls and its stability read this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.interventions.activations import PooledActivations
from vsc_eval.interventions.select import Scalar
from vsc_eval.sae.model import SparseCodes


@dataclass(frozen=True, eq=False)
class Firing:
    """How often and how strongly each feature fires over the chosen tokens, whatever the pooling."""

    frequency: Tensor
    """Float32 [F], share of tokens on which it fires."""
    strength: Tensor
    """Float32 [F], mean activation over the tokens on which it fires; 0 if there are none."""

    @property
    def mean(self) -> Tensor:
        """Float32 [F], mean activation over all tokens."""
        return self.frequency * self.strength


class FiringMeter:
    """Accumulates `Firing` over batches."""

    def __init__(self, d_sae: int) -> None:
        self._n = 0
        self._count = torch.zeros(d_sae, dtype=torch.float64)
        self._total = torch.zeros(d_sae, dtype=torch.float64)

    def update(self, codes: SparseCodes, mask: Tensor) -> None:
        """Add the tokens that `mask` [B, T] chooses among codes [B, T, k]."""
        # A top-k without ReLU can hold negative values, which are no firing.
        values = codes.values[mask].flatten().double().clamp_min(0).cpu()
        indices = codes.indices[mask].flatten().cpu()
        self._n += int(mask.sum())
        self._count.index_add_(0, indices, (values > 0).double())
        self._total.index_add_(0, indices, values)

    def result(self) -> Firing:
        """Raises DataError if no token was added."""
        if self._n == 0:
            raise DataError(
                "No token was harvested.", hint="Choose at least one task, and positions that prompts have."
            )
        return Firing((self._count / self._n).float(), (self._total / self._count.clamp_min(1)).float())


@dataclass(frozen=True, eq=False)
class Harvest:
    """Feature activations of the selection items, one row an item."""

    pooled: PooledActivations
    firing: Firing
    item_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    """Task of each item."""
    orbits: tuple[str, ...]
    """Orbit of each item: what is resampled and relabelled as a whole."""
    origin: Mapping[str, Scalar]
    """Model, SAE, layer, positions, split and pooling that it was made with."""

    def __post_init__(self) -> None:
        lengths = {len(self.pooled.values), len(self.item_ids), len(self.tasks), len(self.orbits)}
        assert len(lengths) == 1, lengths
        task_of = dict(zip(self.orbits, self.tasks, strict=True))
        if any(task_of[orbit] != task for orbit, task in zip(self.orbits, self.tasks, strict=True)):
            raise DataError("An orbit holds items of two tasks.", hint="Give every orbit a name of its own.")

    @property
    def d_sae(self) -> int:
        return int(self.pooled.values.shape[1])

    def task_of_orbit(self) -> dict[str, str]:
        """Orbits in order of first appearance, each with its task."""
        return dict(zip(self.orbits, self.tasks, strict=True))
