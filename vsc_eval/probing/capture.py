"""Every layer's pooled hidden states from one forward pass.

Each layer's output is pooled inside its hook and let go: of a batch only [B, poolings, d] per layer is kept, not the
hidden states of all layers at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vsc_eval.backends.hf.decoder import hidden_of, keep_last_logits
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts
from vsc_eval.errors import BackendError
from vsc_eval.interventions.edits import position_mask
from vsc_eval.probing.spec import EMBEDDINGS, POOLINGS, Pooling

Pooled = dict[tuple[int, Pooling], Tensor]
"""(layer, pooling) -> float32 [n, d] on the CPU. A pooling without tokens (the picture's, in text alone) is absent."""


def pool_weights(inputs: BatchInputs) -> tuple[tuple[Pooling, ...], Tensor]:
    """The poolings that this batch has tokens for, and what averages over them: float32 [B, poolings, T].

    A row of weights sums to 1 and is zero outside the chosen tokens, padding included.
    """
    masks = torch.stack([position_mask(name, inputs.attention_mask, inputs.image_mask) for name in POOLINGS], dim=1)
    present = masks.any(-1)
    assert bool((present.any(0) == present.all(0)).all()), "a batch mixes prompts with and without pictures"
    kept = present.all(0)
    weights = masks[:, kept].float()
    names = tuple(name for name, there in zip(POOLINGS, kept.tolist(), strict=True) if there)
    return names, weights / weights.sum(-1, keepdim=True)


@torch.no_grad()
def pooled_layers(vlm: LoadedVLM, prompts: Sequence[Prompt]) -> Pooled:
    """One batch: what each decoder layer puts out, and what the first one gets (layer -1), pooled.

    Raises BackendError if the model does not run each decoder layer once on [B, T, d], and what `encode_prompts` does.
    """
    inputs = encode_prompts(vlm, prompts)
    names, weights = pool_weights(inputs)
    kept: dict[int, Tensor] = {}

    def keep(layer: int, hidden: Tensor) -> None:
        if layer in kept or hidden.shape[:-1] != inputs.attention_mask.shape:
            raise BackendError(
                f"'{vlm.name}' runs decoder layer {max(layer, 0)} more than once a prompt, or on hidden states of the "
                f"shape {list(hidden.shape)} for {inputs.n_items} prompts of {inputs.n_tokens} tokens.",
                hint="Its layers cannot be probed; use a model with one residual stream.",
            )
        kept[layer] = weights @ hidden.float()

    layers = vlm.decoder.layers
    with contextlib.ExitStack() as stack:

        def keep_input(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            keep(EMBEDDINGS, args[0] if args else kwargs["hidden_states"])

        stack.callback(layers[0].register_forward_pre_hook(keep_input, with_kwargs=True).remove)
        for index, module in enumerate(layers):

            def keep_output(_module: Any, _args: Any, output: Any, index: int = index) -> None:
                keep(index, hidden_of(output))

            stack.callback(module.register_forward_hook(keep_output).remove)
        vlm.model(**inputs.tensors, use_cache=False, **keep_last_logits(vlm.model))
    for layer in (EMBEDDINGS, *range(len(layers))):
        if layer not in kept:
            raise BackendError(
                f"'{vlm.name}' ran without calling decoder layer {max(layer, 0)}.", hint="Use another model."
            )
    return {(layer, name): hidden[:, place].cpu() for layer, hidden in kept.items() for place, name in enumerate(names)}
