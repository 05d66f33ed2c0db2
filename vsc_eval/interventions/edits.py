"""Edits as pure tensor functions: a condition and a hidden state in, a delta out.

The delta is added to h, so what the SAE does not explain stays in the stream and an edit of zero strength is exactly
the baseline. Rebuilding h as decode + error term instead rounds in bfloat16.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vsc_eval.edit_kinds import EDITS
from vsc_eval.errors import SpecError, known_names
from vsc_eval.files import short_hash
from vsc_eval.interventions.intervention import check_indices
from vsc_eval.sae.model import SAE, SparseCodes, check_width
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import ConditionSpec, FeatureSet, Positions

BASELINE_HASH = "baseline"

# A sum whose norm is below this share of its terms' summed norms is float32 rounding.
_CANCELLED = 1e-6


@dataclass(frozen=True, eq=False)
class CompiledCondition:
    """A condition bound to an SAE: indices checked, looked up once, ready for `edit_delta`."""

    name: str
    spec: ConditionSpec
    layer: int
    """0-based decoder layer whose output is edited."""
    members: tuple[Tensor, ...]
    """Int64 feature indices of each set, in the order of `spec.sets`, ascending."""
    union: Tensor
    """Int64 [S], ascending; a feature that two sets share is there once."""
    slots: Tensor
    """Int64 [F]: place of a feature in `union`, S for features outside."""
    member_masks: tuple[Tensor, ...]
    """Bool [S] of each set: which columns of `union` are its own."""
    directions: Tensor | None
    """Float32 [S, d] unit vectors in the place of the decoder rows' directions; None: the SAE's own."""
    content_hash: str
    """Equal exactly when edit, indices, SAE and layer are: names and the order of the sets do not matter."""

    def to(self, device: torch.device | str) -> CompiledCondition:
        """The same condition with its index tensors on `device`."""
        moved = {name: getattr(self, name).to(device) for name in ("union", "slots")}
        moved |= {name: tuple(t.to(device) for t in getattr(self, name)) for name in ("members", "member_masks")}
        return replace(self, **moved, directions=None if self.directions is None else self.directions.to(device))


def compile_condition(
    spec: ConditionSpec, known_sets: Mapping[str, FeatureSet], sae: SAE, layer: int, *, d_model: int | None = None
) -> CompiledCondition:
    """Bind `spec` to the sets and the SAE. Raises SpecError for an unknown set or an index the SAE does not have, and
    DataError if `d_model`, the width of the model to be edited, is given and is not the SAE's."""
    check_width(sae.cfg, d_model)
    members = []
    for name in spec.sets:
        if name not in known_sets:
            hint = known_names("sets", name, known_sets)
            raise SpecError(f"Unknown feature set '{name}' in condition '{spec.name}'.", hint=hint)
        check_indices(known_sets[name], sae.cfg.d_sae)
        members.append(torch.tensor(sorted(known_sets[name].indices)))
    union = torch.unique(torch.cat(members)) if members else torch.empty(0, dtype=torch.int64)
    slots = torch.full((sae.cfg.d_sae,), len(union), dtype=torch.int64)
    slots[union] = torch.arange(len(union))
    directions, content_hash = None, BASELINE_HASH
    if (edit := spec.edit) is not None:
        if edit.random_directions is not None:
            directions = random_directions(edit.random_directions, union, sae.cfg.d_in)
        # How a union splits into sets matters only to norm matching.
        lists = sorted(m.tolist() for m in members) if edit.norm_match else [union.tolist()]
        payload = json.dumps([edit.model_dump(mode="json"), lists, sae.fingerprint(), layer], sort_keys=True)
        content_hash = short_hash(payload)
    masks = tuple(torch.isin(union, m) for m in members)
    return CompiledCondition(spec.name, spec, layer, tuple(members), union, slots, masks, directions, content_hash)


def random_directions(seed: int, features: Tensor, d_model: int) -> Tensor:
    """Unit vectors, isotropic: float32 [S, d] on the CPU, one for each feature index in `features` [S].

    In the place of decoder rows they are the control that keeps an edit's size and loses its meaning. Each is a stream
    of its own, named by (seed, feature), so that a feature has the same direction in every set and union of one draw.
    NumPy's streams, unlike torch's, do not depend on the processor's vector instructions.
    """
    rows = [
        np.random.default_rng(derived_seed("random direction", seed, int(feature))).standard_normal(d_model)
        for feature in features.tolist()
    ]
    drawn = np.array(rows).reshape(len(rows), d_model)
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return torch.from_numpy(unit).to(torch.float32)


def _rescaled(delta: Tensor, target: Tensor, terms: Tensor) -> Tensor:
    """`delta` [N, d] with the norms `target` [N]; zero where it is rounding, whose direction means nothing, beside
    `terms` [N], the summed norms of what it is the sum of."""
    norm = delta.norm(dim=-1)
    alive = norm > _CANCELLED * terms
    factor = torch.where(alive, target / torch.where(alive, norm, 1.0), 0.0)
    return delta * factor[:, None]


@torch.no_grad()
def edit_delta(condition: CompiledCondition, h: Tensor, codes: SparseCodes, sae: SAE) -> Tensor:
    """What the condition adds to the residual stream at every position of h, before any position mask.

    h [..., d] gives shape, dtype and device; codes [..., k] are the SAE's codes of h. Float32 inside, cast to h.dtype
    at the end; exactly zero at a kind's neutral value and, unless it edits silent features, where none of the edited
    ones fired.
    """
    if (edit := condition.spec.edit) is None:
        return torch.zeros_like(h)
    if condition.union.device != h.device:
        condition = condition.to(h.device)
    rows = sae.W_dec.index_select(0, condition.union)
    kind = EDITS.get(edit.kind)
    if kind.unit_rows:
        rows = torch.nn.functional.normalize(rows, dim=-1)
    with torch.autocast(device_type=h.device.type, enabled=False):
        n_features = len(condition.union)
        # The extra column takes in the features outside the union and is cut off.
        k = codes.indices.shape[-1]
        indices, values = codes.indices.reshape(-1, k), codes.values.reshape(-1, k)
        z = values.new_zeros(len(values), n_features + 1)
        z.scatter_(-1, condition.slots[indices], values)
        coefficients = kind.coefficients(z[:, :n_features], edit.strength)
        delta = coefficients @ rows
        if edit.norm_match is not None:
            # Per token to the mean or max norm of the single sets' deltas, [n_sets, N].
            own = [(coefficients[:, mask] @ rows[mask]).norm(dim=-1) for mask in condition.member_masks]
            singles = torch.stack(own)
            target = singles.mean(0) if edit.norm_match.reference == "mean" else singles.amax(0)
            delta = _rescaled(delta, target, singles.sum(0))
        if condition.directions is not None:
            # The same edit along random directions: of delta's norm at every token, zero where delta is.
            terms = coefficients * rows.norm(dim=-1)
            delta = _rescaled(terms @ condition.directions, delta.norm(dim=-1), terms.abs().sum(-1))
    return delta.view(h.shape).to(h.dtype)


def position_mask(positions: Positions, attention_mask: Tensor, image_mask: Tensor) -> Tensor:
    """Which prompt tokens are edited, bool [B, T]. Padding never is. attention_mask [B, T] is nonzero on real tokens,
    image_mask [B, T] true on image tokens. `last` is each row's last real token, wherever the padding stands."""
    real, image = attention_mask.bool(), image_mask.bool()
    last = real & (real.flip(-1).long().cumsum(-1).flip(-1) == 1)
    return {"image": real & image, "text": real & ~image, "last": last, "all": real}[positions]
