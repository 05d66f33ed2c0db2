"""The forward hooks that edit layer L and measure what the edit did there and at the last layer.

Both engine paths use the same hook: one condition over a full forward (forward.py), or a stack of conditions over the
replayed layers above L (shared.py). Rows are condition-major.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from vsc_eval.backends.hf.decoder import TextDecoder, hidden_of, with_hidden
from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import CompiledCondition, edit_delta, position_mask
from vsc_eval.sae.model import SAE, SparseCodes

Positions = Literal["image", "text", "last", "all"]


@dataclass(frozen=True)
class RowEdit:
    """One condition as the hook sees it."""

    name: str
    positions: Positions
    edits_decode: bool
    """Whether generated tokens are edited too."""
    delta: Callable[[Tensor, Any], Tensor]
    """(h [n, d], codes [n, k] or None) -> what is added to h, [n, d] in h's dtype."""
    needs_codes: bool = True


def row_edit(condition: CompiledCondition | None, sae: SAE | None) -> RowEdit | None:
    """The hook's view of a compiled condition; None for the baseline."""
    if condition is None or condition.spec.edit is None:
        return None
    if sae is None:
        raise SpecError(
            f"Condition '{condition.name}' edits SAE features, but the engine has no SAE.",
            hint="Give the engine the intervention's SAE and layer.",
        )
    # Placed once, and not in every decode step.
    delta = partial(edit_delta, condition.to(sae.W_dec.device), sae=sae)
    return RowEdit(condition.name, condition.spec.edit.positions, edits_decode(condition), delta)


def edits_decode(condition: CompiledCondition) -> bool:
    """Whether generated tokens are edited; they are text, so an edit of image tokens never touches them."""
    edit = condition.spec.edit
    return edit is not None and edit.decode and edit.positions != "image"


@dataclass
class BatchState:
    """What all conditions of one prompt batch share, filled as it becomes known."""

    attention_mask: Tensor
    """Int or bool [B, T]."""
    image_mask: Tensor
    """Bool [B, T]."""
    codes: SparseCodes | None = None
    """SAE codes of h_L, [B, T, k]: computed once a batch, whatever the number of conditions."""
    baseline_last: Tensor | None = None
    """The baseline's hidden state after the last decoder layer, [B, T, d]; set when it runs in a stack of its own."""
    baseline_logits: Tensor | None = None
    """The baseline's logits of the first answer token, [B, vocabulary]; as above."""
    masks: dict[Positions, Tensor] = field(default_factory=dict)

    @property
    def n_items(self) -> int:
        return int(self.attention_mask.shape[0])

    def mask(self, positions: Positions) -> Tensor:
        """Edited prompt tokens, bool [B, T]."""
        if positions not in self.masks:
            self.masks[positions] = position_mask(positions, self.attention_mask, self.image_mask)
        return self.masks[positions]


class EditHook:
    """Edits one stack of conditions at `layer` and keeps the measurements of its prefill.

    `edits`: one entry a condition, None for the baseline. After the forward: `shift_edited` and `shift_last`
    ([conditions][items], None where undefined) and `fires`, the number of forwards that went through the edited layer.
    """

    def __init__(self, edits: Sequence[RowEdit | None], batch: BatchState, sae: SAE | None) -> None:
        self.edits = tuple(edits)
        self.batch = batch
        self.sae = sae
        self.fires = 0
        self.shift_edited: list[list[float] | None] = [None] * len(self.edits)
        self.shift_last: list[list[float] | None] = [None] * len(self.edits)

    @contextlib.contextmanager
    def attached(self, decoder: TextDecoder, layer: int) -> Iterator[None]:
        """Hook the hook onto the decoder for the body; both hooks are gone afterwards, whatever the body raises."""
        # The edit goes on first: where L is the last layer, the measurement must see the edited output.
        with (
            decoder.layers[layer].register_forward_hook(self._on_edited_layer),
            decoder.layers[-1].register_forward_hook(self._on_last_layer),
        ):
            yield

    def _on_edited_layer(self, _module: Any, _args: Any, output: Any) -> Any:
        self.fires += 1
        if not any(self.edits):
            return None
        hidden = hidden_of(output)
        stacked = self._by_condition(hidden)
        edited = self._edit_prompt(stacked) if self.fires == 1 else self._edit_step(stacked)
        return with_hidden(output, edited.view(hidden.shape))

    def _by_condition(self, hidden: Tensor) -> Tensor:
        """[C * B, T, d] -> [C, B, T, d]"""
        return hidden.view(len(self.edits), self.batch.n_items, *hidden.shape[1:])

    def _edit_prompt(self, stacked: Tensor) -> Tensor:
        """[C, B, T, d] -> the same with every condition's delta added at its positions."""
        batch = self.batch
        assert stacked.shape[1:3] == batch.attention_mask.shape, (stacked.shape, batch.attention_mask.shape)
        plain = stacked[0]
        if batch.codes is None and self.sae is not None and any(edit and edit.needs_codes for edit in self.edits):
            batch.codes = self.sae.encode_sparse(plain)
        out = stacked.clone()
        for index, edit in enumerate(self.edits):
            if edit is None:
                continue
            mask = batch.mask(edit.positions)
            codes = None if batch.codes is None else SparseCodes(batch.codes.indices[mask], batch.codes.values[mask])
            before = plain[mask]
            after = before + edit.delta(before, codes)
            out[index][mask] = after
            self.shift_edited[index] = _mean_shift(after, before, mask)
        return out

    def _edit_step(self, stacked: Tensor) -> Tensor:
        """[C, B, 1, d] of one decode step, edited under the conditions that edit generated tokens."""
        out = stacked.clone()
        for index, edit in enumerate(self.edits):
            if edit is not None and edit.edits_decode:
                before = stacked[index, :, 0]
                codes = self.sae.encode_sparse(before) if edit.needs_codes and self.sae is not None else None
                out[index, :, 0] = before + edit.delta(before, codes)
        return out

    def _on_last_layer(self, _module: Any, _args: Any, output: Any) -> None:
        if self.fires > 1:
            return
        stacked = self._by_condition(hidden_of(output))
        baseline = stacked[0] if self.edits[0] is None else self.batch.baseline_last
        assert baseline is not None, "a condition ran before its baseline"
        if self.edits == (None,):
            self.batch.baseline_last = baseline
        for index, edit in enumerate(self.edits):
            if edit is not None:
                mask = self.batch.mask(edit.positions)
                self.shift_last[index] = _mean_shift(stacked[index][mask], baseline[mask], mask)


def relative_norm(difference: Tensor, reference: Tensor) -> Tensor:
    """||difference|| / ||reference|| of each row, [n, d] -> float32 [n]."""
    tiny = torch.finfo(torch.float32).tiny
    ratio: Tensor = difference.float().norm(dim=-1) / reference.float().norm(dim=-1).clamp_min(tiny)
    return ratio


def _mean_shift(new: Tensor, old: Tensor, mask: Tensor) -> list[float]:
    """Mean ||new - old|| / ||old|| over the tokens of each item; the rows are those of mask [B, T], in its order."""
    shifts = relative_norm(new.float() - old.float(), old)
    totals = torch.zeros(len(mask), dtype=shifts.dtype, device=shifts.device)
    totals.index_add_(0, mask.nonzero()[:, 0], shifts)
    means: list[float] = (totals / mask.sum(-1).clamp_min(1)).tolist()
    return means
