"""The plain path: one full forward for each condition, with a forward hook at layer L.

It is the reference that the shared path is tested against, and the fall-back for a decoder that cannot be split.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.decode import Prefilled
from vsc_eval.backends.hf.decoder import TextDecoder
from vsc_eval.backends.hf.edit_hook import BatchState, EditHook, RowEdit
from vsc_eval.backends.hf.head import keep_last_logits
from vsc_eval.backends.hf.patching import hidden_of, named_arguments
from vsc_eval.backends.hf.prefix import new_cache
from vsc_eval.backends.hf.run import Runner, StackResult


def run_hooked(
    runner: Runner, inputs: dict[str, Tensor], batch: BatchState, edit: RowEdit | None, *, max_new_tokens: int | None
) -> StackResult:
    """One condition over one batch by a full forward. The baseline (`edit` None) has to run before its conditions:
    it leaves its last hidden state and its logits in `batch`.

    `max_new_tokens` None only scores the first answer token.
    """
    hook = EditHook([edit], batch, runner.sae)
    with contextlib.ExitStack() as stack:
        if runner.layer is not None:
            stack.enter_context(hook.attached(runner.decoder, runner.layer))
        start = full_forward(runner.model, runner.decoder, inputs, keep_cache=max_new_tokens is not None)
        result = runner.finish(hook, start, max_new_tokens)
    if edit is None:
        batch.baseline_logits = result.logits
    return result


@torch.no_grad()
def full_forward(model: nn.Module, decoder: TextDecoder, inputs: dict[str, Tensor], *, keep_cache: bool) -> Prefilled:
    """The ordinary forward of the VLM on a whole batch, whatever is hooked onto it."""
    with recorded_arguments(decoder) as arguments:
        cache = new_cache(model) if keep_cache else None
        output = model(**inputs, past_key_values=cache, use_cache=keep_cache, **keep_last_logits(model))
    position_ids = arguments.get("position_ids")
    return Prefilled(
        logits=output.logits[:, -1],
        cache=cache,
        attention_mask=inputs["attention_mask"],
        position_ids=position_ids if isinstance(position_ids, Tensor) else None,
    )


@contextlib.contextmanager
def recorded_arguments(decoder: TextDecoder) -> Iterator[dict[str, Any]]:
    """Collects the named arguments of the calls of the text decoder, the last call's in the end."""
    arguments: dict[str, Any] = {}

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments.update(named_arguments(module, args, kwargs))

    handle = decoder.module.register_forward_pre_hook(record, with_kwargs=True)
    try:
        yield arguments
    finally:
        handle.remove()


@torch.no_grad()
def layer_outputs(
    model: nn.Module, decoder: TextDecoder, inputs: dict[str, Tensor], layers: tuple[int, ...]
) -> dict[int, Tensor]:
    """Outputs of the named decoder layers for one batch, each [B, T, d]: what an SAE or a probe is trained on.

    Raises SpecError for a layer that the model does not have.
    """
    kept: dict[int, Tensor] = {}
    with contextlib.ExitStack() as stack:
        for layer in layers:
            decoder.check_layer(layer)

            def keep(_module: nn.Module, _args: Any, output: Any, layer: int = layer) -> None:
                kept[layer] = hidden_of(output)

            stack.callback(decoder.layers[layer].register_forward_hook(keep).remove)
        model(**inputs, use_cache=False, **keep_last_logits(model))
    return kept
