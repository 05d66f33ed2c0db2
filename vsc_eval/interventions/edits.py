"""Edits as pure tensor functions: a condition and a hidden state in, a delta out.

The delta is added to h, so what the SAE does not explain stays in the stream and an edit of zero strength is exactly
the baseline. Rebuilding h as decode + error term instead rounds in bfloat16.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, assert_never

import torch
from torch import Tensor

from vsc_eval.edit_kinds.base import EDITS
from vsc_eval.errors import SpecError, known_names
from vsc_eval.interventions.directions import random_directions, rescaled
from vsc_eval.interventions.intervention import check_indices
from vsc_eval.sae.io import check_width
from vsc_eval.sae.model import SAE, SparseCodes
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet

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

    @property
    def is_baseline(self) -> bool:
        return not self.members

    def to(self, device: torch.device | str) -> CompiledCondition:
        """The same condition with its index tensors on `device`."""
        return replace(
            self,
            members=tuple(m.to(device) for m in self.members),
            union=self.union.to(device),
            slots=self.slots.to(device),
            member_masks=tuple(m.to(device) for m in self.member_masks),
            directions=None if self.directions is None else self.directions.to(device),
        )


def _content_hash(edit: EditSpec, members: tuple[Tensor, ...], union: Tensor, sae: SAE, layer: int) -> str:
    # How a union splits into sets matters only to norm matching.
    lists = sorted(m.tolist() for m in members) if edit.norm_match else [union.tolist()]
    payload = json.dumps([edit.model_dump(mode="json"), lists, sae.fingerprint(), layer], sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def compile_condition(
    spec: ConditionSpec,
    known_sets: Mapping[str, FeatureSet],
    sae: SAE,
    layer: int,
    *,
    d_model: int | None = None,
) -> CompiledCondition:
    """Bind `spec` to the sets and the SAE.

    Raises SpecError for an unknown set or an index the SAE does not have, and DataError if `d_model`, the width of the
    model to be edited, is given and is not the SAE's.
    """
    check_width(sae.cfg, d_model)
    members = []
    for name in spec.sets:
        if name not in known_sets:
            raise SpecError(
                f"Unknown feature set '{name}' in condition '{spec.name}'.",
                hint=known_names("sets", name, known_sets),
            )
        check_indices(known_sets[name], sae.cfg.d_sae)
        members.append(torch.tensor(sorted(known_sets[name].indices)))
    union = torch.unique(torch.cat(members)) if members else torch.empty(0, dtype=torch.int64)
    slots = torch.full((sae.cfg.d_sae,), len(union), dtype=torch.int64)
    slots[union] = torch.arange(len(union))
    seed = spec.edit.random_directions if spec.edit else None
    return CompiledCondition(
        name=spec.name,
        spec=spec,
        layer=layer,
        members=tuple(members),
        union=union,
        slots=slots,
        member_masks=tuple(torch.isin(union, m) for m in members),
        directions=None if seed is None else random_directions(seed, union, sae.cfg.d_in),
        content_hash=_content_hash(spec.edit, tuple(members), union, sae, layer) if spec.edit else BASELINE_HASH,
    )


def _norm_matched(
    delta: Tensor, coefficients: Tensor, rows: Tensor, condition: CompiledCondition, reference: Literal["mean", "max"]
) -> Tensor:
    """Rescale the union's delta [N, d] per token to the mean or max norm of its single sets' deltas."""
    singles = torch.stack(
        [(coefficients[:, mask] @ rows[mask]).norm(dim=-1) for mask in condition.member_masks]
    )  # [n_sets, N]
    target = singles.mean(0) if reference == "mean" else singles.amax(0)
    return rescaled(delta, target, _CANCELLED * singles.sum(0))


def _turned(delta: Tensor, coefficients: Tensor, rows: Tensor, directions: Tensor) -> Tensor:
    """The same edit along random directions [S, d]: of delta's [N, d] norm at every token, zero where delta is."""
    lengths = rows.norm(dim=-1)
    terms = coefficients * lengths
    return rescaled(terms @ directions, delta.norm(dim=-1), _CANCELLED * terms.abs().sum(-1))


@torch.no_grad()
def edit_delta(condition: CompiledCondition, h: Tensor, codes: SparseCodes, sae: SAE) -> Tensor:
    """What the condition adds to the residual stream at every position of h, before any position mask.

    h [..., d] gives shape, dtype and device; codes [..., k] are the SAE's codes of h. Float32 inside, cast to h.dtype
    at the end; exactly zero at a kind's neutral value and, unless it edits silent features, where none of the edited
    ones fired.
    """
    if condition.spec.edit is None:
        return torch.zeros_like(h)
    edit = condition.spec.edit
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
            delta = _norm_matched(delta, coefficients, rows, condition, edit.norm_match.reference)
        if condition.directions is not None:
            delta = _turned(delta, coefficients, rows, condition.directions)
    return delta.view(h.shape).to(h.dtype)


def position_mask(
    positions: Literal["image", "text", "last", "all"], attention_mask: Tensor, image_mask: Tensor
) -> Tensor:
    """Which prompt tokens are edited, bool [B, T]. Padding never is.

    attention_mask [B, T] is nonzero on real tokens, image_mask [B, T] true on image tokens. `last` is the last real
    token of each row, wherever the padding stands.
    """
    real = attention_mask.bool()
    image = image_mask.bool()
    match positions:
        case "image":
            return real & image
        case "text":
            return real & ~image
        case "last":
            from_the_end = real.flip(-1).long().cumsum(-1).flip(-1)
            return real & (from_the_end == 1)
        case "all":
            return real
        case _:
            assert_never(positions)
