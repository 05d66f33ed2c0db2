"""The aux loss that brings dead features back. After Gao et al. 2024 (arXiv 2406.04093), section A.2."""

from __future__ import annotations

import torch
from torch import Tensor

from vsc_eval.sae.model import SAE, SparseCodes


def aux_loss(
    sae: SAE, pre: Tensor, residual: Tensor, dead: Tensor, aux_k: int, *, only_positive: bool = False
) -> Tensor:
    """Share of the residual that the dead features leave unexplained; scalar, 0 if no feature is dead.

    pre [n, F] and residual [n, d] of a batch, dead bool [F]. The dead features' strongest *pre*-activations are used
    as they are, negative ones too: behind a ReLU the gradient of a feature that is negative everywhere would be exactly
    zero and it would stay dead. `only_positive` drops negative ones all the same: with a large weight on the aux loss,
    features would learn to explain by negative activations, which can never fire, and would drag b_dec along.
    """
    n_dead = int(dead.sum())
    if n_dead == 0 or aux_k == 0:
        return pre.new_zeros(())
    dead_indices = dead.nonzero().squeeze(1)
    values, picked = pre[:, dead_indices].topk(min(aux_k, n_dead), dim=-1, sorted=False)
    values = values.relu() if only_positive else values
    target = residual.detach()
    explained = sae.decode_sparse(SparseCodes(dead_indices[picked], values)) - sae.b_dec
    loss = (target - explained).square().sum() / target.square().sum().clamp_min(1e-12)
    return torch.nan_to_num(loss, nan=0.0, posinf=0.0)
