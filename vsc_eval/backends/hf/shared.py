"""The shared path: layers 0..L once a batch, the layers above L once for each stack of conditions.

For a stack the text decoder itself is called again with its recorded arguments, with layers below L doing nothing and
layer L returning h_L. So masks, rotary embeddings, layer types and DeepStack stay the model's own code. Calling the
decoder with its list of layers cut looks simpler and is silently wrong on models that key things by the loop's index.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.decoder import TextDecoder, apply_head, hidden_of, replaced_forward
from vsc_eval.backends.hf.edit_hook import BatchState, EditHook, RowEdit
from vsc_eval.backends.hf.forward import Prefilled, Runner, StackResult, new_cache, prompt_positions, recorded_arguments
from vsc_eval.errors import BackendError

# mrope position ids are [3, batch, seq] or [4, batch, seq]: with three items a shape alone cannot tell which axis is
# the batch, so the batch axis is known by name, counted from the end.
_BATCH_AXIS_FROM_END = {"position_ids": 2}
# One row per image token of the whole batch, not per item: repeated as a block, item order kept.
_FLAT_TOKENS = frozenset({"deepstack_visual_embeds"})
# The same for every row.
_SHARED = frozenset({"cache_position"})


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


def shared_prefix(runner: Runner, inputs: dict[str, Tensor], *, max_new_tokens: int | None) -> Prefix:
    """Layers 0..L of a batch."""
    assert runner.layer is not None
    return run_prefix(runner.model, runner.decoder, runner.layer, inputs, keep_cache=max_new_tokens is not None)


@torch.no_grad()
def run_prefix(
    model: nn.Module, decoder: TextDecoder, layer: int, inputs: dict[str, Tensor], *, keep_cache: bool
) -> Prefix:
    """The ordinary forward of the VLM on `inputs`, stopped behind layer `layer`.

    Raises BackendError if the model never calls that layer of its decoder.
    """
    kept: list[Any] = []
    states: dict[str, dict[Any, Any]] = {}

    def stop(_module: nn.Module, _args: Any, kwargs: dict[str, Any], output: Any) -> None:
        kept.append(output)
        states.update({name: dict(value) for name, value in kwargs.items() if isinstance(value, MutableMapping)})
        raise _StopAtLayer

    cache = new_cache(model) if keep_cache else None
    with (
        recorded_arguments(decoder) as arguments,
        decoder.layers[layer].register_forward_hook(stop, with_kwargs=True),
        contextlib.suppress(_StopAtLayer),
    ):
        model(**inputs, past_key_values=cache, use_cache=keep_cache)
    if not kept or not arguments:
        raise BackendError(
            f"{type(model).__name__} ran without calling decoder layer {layer}.",
            hint="Use mode `hooks`, or another model.",
        )
    return Prefix(layer, arguments, hidden_of(kept[0]), isinstance(kept[0], tuple), states, cache)


@torch.no_grad()
def run_stack(
    runner: Runner,
    prefix: Prefix,
    batch: BatchState,
    edits: Sequence[RowEdit | None],
    *,
    max_new_tokens: int | None,
) -> StackResult:
    """A stack of conditions over one batch, from its prefix. The first is the baseline (None), or the baseline has run
    on its own before: `batch` keeps its last hidden state and its logits. The model is as before afterwards, whatever
    is raised."""
    n_conditions = len(edits)
    hook = EditHook(edits, batch, runner.sae)
    arguments = expand_arguments(prefix.arguments, batch.n_items, n_conditions)
    # Empty while the prompt runs: the decoder's masks read the cache's length.
    cache = arguments["past_key_values"] = None if prefix.cache is None else new_cache(runner.model)
    with hook.attached(runner.decoder, prefix.layer):
        # The hook on layer L fires as in an ordinary forward.
        with _replaying(runner.decoder, prefix, n_conditions):
            output = runner.decoder.module(**arguments)
        if cache is not None:
            _add_lower_layers(cache, prefix, n_conditions)
        # The decoder's output is behind the final norm.
        logits = apply_head(runner.model, runner.decoder, output[0][:, -1:], type(output), runner.pad_id)
        mask = _expand("attention_mask", batch.attention_mask, batch.n_items, n_conditions)
        start = Prefilled(logits, cache, attention_mask=mask, position_ids=prompt_positions(arguments))
        return runner.finish(hook, start, max_new_tokens)


@contextlib.contextmanager
def _replaying(decoder: TextDecoder, prefix: Prefix, n_conditions: int) -> Iterator[None]:
    """Layers below L pass their input on; layer L returns h_L, once for each condition."""
    n_items = len(prefix.hidden)

    def wrap(hidden: Tensor) -> Any:
        return (hidden,) if prefix.in_tuple else hidden

    def pass_on(hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Any:
        return wrap(hidden_states)

    def recorded(*_args: Any, **kwargs: Any) -> Any:
        for name, state in prefix.layer_states.items():
            kwargs[name].update(_expand(name, state, n_items, n_conditions))
        return wrap(_expand("hidden_states", prefix.hidden, n_items, n_conditions))

    with contextlib.ExitStack() as stack:
        for lower in decoder.layers[: prefix.layer]:
            stack.enter_context(replaced_forward(lower, pass_on))
        stack.enter_context(replaced_forward(decoder.layers[prefix.layer], recorded))
        yield


def _add_lower_layers(cache: Any, prefix: Prefix, n_conditions: int) -> None:
    """Give `cache` the prefix's layers with their rows repeated; copied also for one condition, because
    linear-attention states are updated in place."""
    n_items = len(prefix.hidden)

    def expanded(state: Tensor) -> Tensor:
        if state.ndim >= 2 and state.shape[0] == n_items:
            return state.repeat(n_conditions, *([1] * (state.ndim - 1)))
        return state.clone()

    assert prefix.cache is not None
    # Layers that reuse the keys and values of others have no cache of their own.
    for index in range(min(prefix.layer + 1, len(cache.layers))):
        cache.layers[index] = copy.copy(prefix.cache.layers[index])
        for name, value in vars(prefix.cache.layers[index]).items():
            setattr(cache.layers[index], name, _map_tensors(expanded, value))


def expand_arguments(arguments: Mapping[str, Any], n_items: int, n_copies: int) -> dict[str, Any]:
    """Recorded decoder arguments of a batch of `n_items`, repeated for `n_copies` conditions.

    Rows become condition-major: row c * n_items + i is item i under condition c. Dicts, lists and tuples are entered,
    everything but tensors is kept.
    """
    return {name: _expand(name, value, n_items, n_copies) for name, value in arguments.items()}


def _expand(name: str, value: Any, n_items: int, n_copies: int) -> Any:
    """One argument of that name; a copy only where one is needed."""
    if n_copies == 1 or name in _SHARED:
        return value
    return _map_tensors(partial(_expand_tensor, name, n_items, n_copies), value)


def _map_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """`value` with every tensor changed that it is or that its dicts, lists and tuples hold."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) is dict:
        return {key: _map_tensors(change, entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_map_tensors(change, entry) for entry in value)
    return value


def _expand_tensor(name: str, n_items: int, n_copies: int, value: Tensor) -> Tensor:
    if value.ndim == 0:
        return value
    axis = 0 if name in _FLAT_TOKENS else max(value.ndim - _BATCH_AXIS_FROM_END.get(name, value.ndim), 0)
    if name not in _FLAT_TOKENS and value.shape[axis] != n_items:
        return value  # broadcast over the batch (a [1, seq] position row, a [1, 1, seq, seq] mask)
    repeats = [1] * value.ndim
    repeats[axis] = n_copies
    return value.repeat(*repeats)
