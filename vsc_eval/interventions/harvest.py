"""What a model's features did on the selection items: the selection rule, its controls and its stability read this."""

from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field, InstanceOf, model_validator
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.interventions.select import Pooling, Scalar
from vsc_eval.records import Record
from vsc_eval.sae.model import SparseCodes
from vsc_eval.sae.quality import Firing, ReconstructionQuality


@dataclass(frozen=True, eq=False)
class PooledActivations:
    """Feature activations of an item, pooled over its tokens; one row an item."""

    values: Tensor
    """Float32 [n, F]."""
    fired: Tensor
    """Bool [n, F]: the feature fired on at least one of the item's chosen tokens."""


def pool_codes(codes: SparseCodes, mask: Tensor, d_sae: int, how: Pooling) -> PooledActivations:
    """Pool codes [B, T, k] over the tokens that `mask` [B, T] chooses.

    mean: mean activation over the chosen tokens, silent ones count as 0; max: the largest; fired: 1 if any token fires
    the feature, else 0. Raises DataError, naming the rows, if an item has no chosen token.
    """
    n_tokens = mask.sum(1)
    if (n_tokens == 0).any():
        rows = (n_tokens == 0).nonzero().squeeze(1).tolist()
        raise DataError(
            f"No token is chosen in row(s) {rows} of the batch.",
            hint="Choose other positions: a prompt without an image has no image tokens.",
        )
    batch, _, k = codes.indices.shape
    values = torch.where(mask[..., None], codes.values, 0.0).reshape(batch, -1)
    indices = codes.indices.reshape(batch, -1)
    assert k == 0 or int(indices.max()) < d_sae, "codes of another SAE"
    largest = values.new_zeros(batch, d_sae).scatter_reduce_(1, indices, values, reduce="amax")
    fired = largest > 0
    if how == "mean":
        total = values.new_zeros(batch, d_sae).scatter_add_(1, indices, values)
        return PooledActivations(total / n_tokens[:, None], fired)
    return PooledActivations(largest if how == "max" else fired.to(torch.float32), fired)


class Harvest(Record):
    """Feature activations of the selection items, one row an item. All but the tensors is `features.json`."""

    schema_version: Literal[1] = 1
    origin: dict[str, Scalar]
    """Model, SAE, layer, positions, split and generator that it was made with."""
    pooling: Pooling = "mean"
    item_ids: tuple[str, ...]
    tasks: tuple[str, ...]
    """Task of each item."""
    orbits: tuple[str, ...]
    """Orbit of each item: what is resampled and relabelled as a whole."""
    reconstruction: ReconstructionQuality | None = None
    """The SAE on the same tokens."""
    pooled: InstanceOf[PooledActivations] = Field(exclude=True, repr=False)
    firing: InstanceOf[Firing] = Field(exclude=True, repr=False)

    @model_validator(mode="after")
    def _one_row_an_item(self) -> Self:
        lengths = {len(self.pooled.values), len(self.item_ids), len(self.tasks), len(self.orbits)}
        assert len(lengths) == 1, lengths
        task_of = self.task_of_orbit()
        if any(task_of[orbit] != task for orbit, task in zip(self.orbits, self.tasks, strict=True)):
            raise DataError("An orbit holds items of two tasks.", hint="Give every orbit a name of its own.")
        return self

    @property
    def d_sae(self) -> int:
        return int(self.pooled.values.shape[1])

    def task_of_orbit(self) -> dict[str, str]:
        """Orbits in order of first appearance, each with its task."""
        return dict(zip(self.orbits, self.tasks, strict=True))
