"""Run a batch up to decoder layer L, once, and keep everything that the layers above need."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.decoder import TextDecoder, text_config
from vsc_eval.backends.hf.patching import hidden_of, named_arguments
from vsc_eval.errors import BackendError


class _StopAtLayer(Exception):  # noqa: N818 - control flow, not an error
    """Ends the forward once layer L has run."""


@dataclass(frozen=True)
class Prefix:
    """Layers 0..L of one batch, shared by all its conditions. Never written to after it was made."""

    layer: int
    arguments: dict[str, Any]
    """The keyword arguments with which the VLM called its text decoder."""
    hidden: Tensor
    """h_L, the output of layer L before any edit, [B, T, d]."""
    in_tuple: bool
    """Whether the decoder's layers return tuples."""
    layer_states: dict[str, dict[Any, Any]]
    """Mappings that the decoder hands from layer to layer, as layers 0..L left them: keys and values that upper layers
    of Gemma 3n and 4 share."""
    cache: Any | None
    """transformers cache whose layers 0..L are filled; None if no token is to be generated."""

    @property
    def n_items(self) -> int:
        return int(self.hidden.shape[0])

    @property
    def position_ids(self) -> Tensor | None:
        """[B, T] or [3 or 4, B, T] as the decoder got them; None if it counts positions itself."""
        position_ids = self.arguments.get("position_ids")
        return position_ids if isinstance(position_ids, Tensor) else None


def new_cache(model: nn.Module) -> Any:
    """An empty dynamic key/value cache for the model's text decoder."""
    from transformers import DynamicCache

    return DynamicCache(config=text_config(model))


@torch.no_grad()
def run_prefix(
    model: nn.Module, decoder: TextDecoder, layer: int, inputs: dict[str, Tensor], *, keep_cache: bool
) -> Prefix:
    """The ordinary forward of the VLM on `inputs`, stopped behind layer `layer`.

    Raises BackendError if the model never calls that layer of its decoder.
    """
    arguments: dict[str, Any] = {}
    kept: list[Any] = []
    states: dict[str, dict[Any, Any]] = {}

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments.update(named_arguments(module, args, kwargs))

    def stop(_module: nn.Module, _args: Any, kwargs: dict[str, Any], output: Any) -> None:
        kept.append(output)
        states.update({name: dict(value) for name, value in kwargs.items() if isinstance(value, MutableMapping)})
        raise _StopAtLayer

    cache = new_cache(model) if keep_cache else None
    handles = [
        decoder.module.register_forward_pre_hook(record, with_kwargs=True),
        decoder.layers[layer].register_forward_hook(stop, with_kwargs=True),
    ]
    try:
        model(**inputs, past_key_values=cache, use_cache=keep_cache)
    except _StopAtLayer:
        pass
    finally:
        for handle in handles:
            handle.remove()
    if not kept or not arguments:
        raise BackendError(
            f"{type(model).__name__} ran without calling decoder layer {layer}.",
            hint="Use mode `hooks`, or another model.",
        )
    return Prefix(
        layer=layer,
        arguments=arguments,
        hidden=hidden_of(kept[0]),
        in_tuple=isinstance(kept[0], tuple),
        layer_states=states,
        cache=cache,
    )
