"""Greedy decoding from a filled cache, the same for both engine paths."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.head import keep_last_logits


@dataclass(frozen=True)
class Prefilled:
    """Where decoding starts: the prompt has run, the first token's logits are known."""

    logits: Tensor
    """Of the first answer token, [rows, vocabulary]."""
    cache: Any
    attention_mask: Tensor
    """[rows, T]."""
    position_ids: Tensor | None
    """Of the prompt as the decoder got them, [..., rows or 1, T]; None if it counted from 0 by itself."""


@dataclass(frozen=True)
class Generated:
    """Greedy continuations."""

    tokens: list[list[int]]
    """Of each row, without the end token."""
    n_forwards: list[int]
    """Forwards each row needed for its tokens, the end token included; the prompt's own is one of them."""
    n_steps: int
    """Forwards that ran after the prompt's, for the longest row."""
    final_logits: Tensor
    """Of the last forward, [rows, vocabulary]."""
    broken: list[bool]
    """Of each row, whether a token was chosen by logits that are not numbers."""


@torch.no_grad()
def greedy(
    model: nn.Module, start: Prefilled, *, end_ids: Collection[int], pad_id: int, max_new_tokens: int
) -> Generated:
    """Most probable token, step by step, until every row has ended or has `max_new_tokens`.

    Ended rows stay in the batch (their tokens are ignored), so the shape of the others' arithmetic never changes.
    Repetition penalties and other processors of the generation config are not applied.
    """
    rows = start.logits.shape[0]
    tokens: list[list[int]] = [[] for _ in range(rows)]
    n_forwards = [0] * rows
    alive = [True] * rows
    broken = [False] * rows
    logits, mask, n_steps = start.logits, start.attention_mask, 0
    last_position = _last_position(start)
    while True:
        best = logits.argmax(-1)
        # A NaN counts as the largest.
        sound = logits.gather(-1, best[:, None])[:, 0].isfinite().tolist()
        chosen = best.tolist()
        for row in range(rows):
            if not alive[row]:
                continue
            n_forwards[row] += 1
            broken[row] |= not sound[row]
            if chosen[row] in end_ids:
                alive[row] = False
            else:
                tokens[row].append(chosen[row])
                alive[row] = len(tokens[row]) < max_new_tokens
        if not any(alive):
            return Generated(tokens=tokens, n_forwards=n_forwards, n_steps=n_steps, final_logits=logits, broken=broken)
        n_steps += 1
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=-1)
        fed = [token if living else pad_id for token, living in zip(chosen, alive, strict=True)]
        output = model(
            input_ids=torch.tensor(fed, device=mask.device)[:, None],
            attention_mask=mask,
            position_ids=last_position + n_steps,
            past_key_values=start.cache,
            use_cache=True,
            **keep_last_logits(model),
        )
        logits = output.logits[:, -1]


def _last_position(start: Prefilled) -> Tensor:
    """Position of the last prompt token, [..., rows or 1, 1].

    Always given to the model, also where it could count by itself: Qwen-VL models otherwise add what they remember of
    the last batch with pictures to a batch without any.
    """
    if start.position_ids is not None:
        return start.position_ids[..., -1:]
    rows, length = start.attention_mask.shape
    return torch.full((rows, 1), length - 1, device=start.attention_mask.device)
