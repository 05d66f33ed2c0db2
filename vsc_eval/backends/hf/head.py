"""Logits from a decoder output, by the model's own head (final scaling and soft-capping included)."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.decoder import TextDecoder
from vsc_eval.backends.hf.patching import replaced_forward


def keep_last_logits(model: nn.Module) -> dict[str, int]:
    """The argument that makes the model compute logits of the last position only, if it has one."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


@torch.no_grad()
def apply_head(
    model: nn.Module, decoder: TextDecoder, last_hidden: Tensor, output_type: type[Any], token_id: int
) -> Tensor:
    """[rows, 1, d] -> logits [rows, vocabulary].

    The VLM is called on one dummy text token a row (`token_id`, any id that is no image token) with its decoder
    replaced by one that returns `last_hidden`.
    """
    rows = last_hidden.shape[0]
    dummy = torch.full((rows, 1), token_id, dtype=torch.long, device=last_hidden.device)

    def recorded(*_args: Any, **_kwargs: Any) -> Any:
        return output_type(last_hidden_state=last_hidden)

    with replaced_forward(decoder.module, recorded):
        output = model(input_ids=dummy, use_cache=False, **keep_last_logits(model))
    logits: Tensor = output.logits
    return logits[:, -1]
