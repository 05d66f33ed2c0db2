"""Feature activations of an item, pooled over its tokens: what the selection rule looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.sae.model import SparseCodes

Pooling = Literal["mean", "max", "fired"]


@dataclass(frozen=True, eq=False)
class PooledActivations:
    """One row an item."""

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
    match how:
        case "mean":
            total = values.new_zeros(batch, d_sae).scatter_add_(1, indices, values)
            return PooledActivations(total / n_tokens[:, None], fired)
        case "max":
            return PooledActivations(largest, fired)
        case "fired":
            return PooledActivations(fired.to(torch.float32), fired)
        case _:
            assert_never(how)
