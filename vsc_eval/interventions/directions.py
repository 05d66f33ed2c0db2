"""Random directions in the place of decoder rows: the control that keeps an edit's size and loses its meaning."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vsc_eval.seeding import derived_seed


def random_directions(seed: int, features: Tensor, d_model: int) -> Tensor:
    """Unit vectors, isotropic: float32 [S, d] on the CPU, one for each feature index in `features` [S].

    Each is a stream of its own, named by (seed, feature), so that a feature has the same direction in every set and
    union of one draw. NumPy's streams, unlike torch's, do not depend on the processor's vector instructions.
    """
    rows = [
        np.random.default_rng(derived_seed("random direction", seed, int(feature))).standard_normal(d_model)
        for feature in features.tolist()
    ]
    drawn = np.array(rows).reshape(len(rows), d_model)
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return torch.from_numpy(unit).to(torch.float32)


def rescaled(delta: Tensor, target: Tensor, floor: Tensor) -> Tensor:
    """`delta` [N, d] with the norms `target` [N]; zero where its own norm is not above `floor` [N].

    What is not above the floor is rounding, whose direction means nothing.
    """
    norm = delta.norm(dim=-1)
    alive = norm > floor
    factor = torch.where(alive, target / torch.where(alive, norm, 1.0), 0.0)
    return delta * factor[:, None]
