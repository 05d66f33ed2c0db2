"""Replay a prefix through the layers above L, for a stack of conditions at once.

The text decoder itself is called again with its recorded arguments, with layers below L doing nothing and layer L
returning h_L. So masks, rotary embeddings, layer types and DeepStack stay the model's own code. Calling the decoder
with its list of layers cut looks simpler and is silently wrong on models that key things by the loop's index.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.decoder import TextDecoder
from vsc_eval.backends.hf.patching import expand_argument, expand_arguments, repeat_rows, replaced_forward
from vsc_eval.backends.hf.prefix import Prefix, new_cache


@dataclass(frozen=True)
class Suffix:
    """What the layers above L gave for a stack of conditions; rows are condition-major."""

    last_hidden: Tensor
    """Decoder output (after the final norm) at the last prompt token, [C * B, 1, d]."""
    output_type: type[Any]
    """Class of the decoder's output, which the head expects."""
    cache: Any | None
    """Key/value cache of all layers, ready for decode steps; None if the prefix kept none."""


@torch.no_grad()
def replay(model: nn.Module, decoder: TextDecoder, prefix: Prefix, n_conditions: int) -> Suffix:
    """Run the layers above L for a stack of conditions; the model is as before afterwards, whatever is raised.

    The edits are the business of whoever has hooked layer L: the hook fires as in an ordinary forward.
    """
    arguments = expand_arguments(prefix.arguments, prefix.n_items, n_conditions)
    # Empty while the prompt runs: the decoder's masks read the cache's length.
    cache = None if prefix.cache is None else new_cache(model)
    arguments["past_key_values"] = cache
    with replaying(decoder, prefix, n_conditions):
        output = decoder.module(**arguments)
    if cache is not None:
        _add_lower_layers(cache, prefix, n_conditions)
    return Suffix(last_hidden=output[0][:, -1:], output_type=type(output), cache=cache)


@contextlib.contextmanager
def replaying(decoder: TextDecoder, prefix: Prefix, n_conditions: int) -> Iterator[None]:
    """Layers below L pass their input on; layer L returns h_L, once for each condition."""
    wrap = (lambda hidden: (hidden,)) if prefix.in_tuple else (lambda hidden: hidden)

    def pass_on(hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Any:
        return wrap(hidden_states)

    def recorded(*_args: Any, **kwargs: Any) -> Any:
        for name, state in prefix.layer_states.items():
            kwargs[name].update(expand_argument(name, state, prefix.n_items, n_conditions))
        return wrap(repeat_rows(prefix.hidden, n_conditions))

    with contextlib.ExitStack() as stack:
        for lower in decoder.layers[: prefix.layer]:
            stack.enter_context(replaced_forward(lower, pass_on))
        stack.enter_context(replaced_forward(decoder.layers[prefix.layer], recorded))
        yield


def _add_lower_layers(cache: Any, prefix: Prefix, n_conditions: int) -> None:
    assert prefix.cache is not None
    # Layers that reuse the keys and values of others have no cache of their own.
    for index in range(min(prefix.layer + 1, len(cache.layers))):
        cache.layers[index] = _expand_cache_layer(prefix.cache.layers[index], prefix.n_items, n_conditions)


def _expand_cache_layer(layer: Any, n_items: int, n_conditions: int) -> Any:
    """A copy of one cache layer with its rows repeated; copied also for one condition, because linear-attention
    states are updated in place."""
    expanded = copy.copy(layer)
    for name, value in vars(layer).items():
        setattr(expanded, name, _expand_state(value, n_items, n_conditions))
    return expanded


def _expand_state(value: Any, n_items: int, n_conditions: int) -> Any:
    if isinstance(value, Tensor):
        if value.ndim >= 2 and value.shape[0] == n_items:
            return value.repeat(n_conditions, *([1] * (value.ndim - 1)))
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(_expand_state(entry, n_items, n_conditions) for entry in value)
    if type(value) is dict:
        return {key: _expand_state(entry, n_items, n_conditions) for key, entry in value.items()}
    return value
