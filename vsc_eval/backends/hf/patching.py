"""Replace a module's forward for a while, and expand recorded arguments from one condition to many."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# mrope position ids are [3, batch, seq] or [4, batch, seq]: with three items a shape alone cannot tell which axis is
# the batch, so the batch axis is known by name, counted from the end.
_BATCH_AXIS_FROM_END = {"position_ids": 2}
# One row per image token of the whole batch, not per item: repeated as a block, item order kept.
_FLAT_TOKENS = frozenset({"deepstack_visual_embeds"})
# The same for every row.
_SHARED = frozenset({"cache_position"})


@contextlib.contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Run the body with `module.forward` replaced; the module is as before afterwards, whatever the body raises.

    Hooks on the module still fire: it is called as ever.
    """
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def named_arguments(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call of `module` by name, positional ones included."""
    if not args:
        return dict(kwargs)
    names = list(inspect.signature(module.forward).parameters)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def expand_arguments(arguments: Mapping[str, Any], n_items: int, n_copies: int) -> dict[str, Any]:
    """Recorded decoder arguments of a batch of `n_items`, repeated for `n_copies` conditions.

    Rows become condition-major: row c * n_items + i is item i under condition c.
    """
    return {name: expand_argument(name, value, n_items, n_copies) for name, value in arguments.items()}


def expand_argument(name: str, value: Any, n_items: int, n_copies: int) -> Any:
    """One argument of `expand_arguments`; dicts, lists and tuples are entered, everything but tensors is kept."""
    if n_copies == 1 or name in _SHARED:
        return value
    if isinstance(value, Tensor):
        return _expand_tensor(name, value, n_items, n_copies)
    if type(value) is dict:
        return {key: expand_argument(name, entry, n_items, n_copies) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(expand_argument(name, entry, n_items, n_copies) for entry in value)
    return value


def _expand_tensor(name: str, value: Tensor, n_items: int, n_copies: int) -> Tensor:
    if value.ndim == 0:
        return value
    if name in _FLAT_TOKENS:
        axis = 0
    else:
        axis = max(value.ndim - _BATCH_AXIS_FROM_END.get(name, value.ndim), 0)
        if value.shape[axis] != n_items:
            return value  # broadcast over the batch (a [1, seq] position row, a [1, 1, seq, seq] mask)
    repeats = [1] * value.ndim
    repeats[axis] = n_copies
    return value.repeat(*repeats)


def repeat_rows(value: Tensor, n_copies: int) -> Tensor:
    """[items, ...] -> [n_copies * items, ...], condition-major; a copy only where one is needed."""
    return value if n_copies == 1 else value.repeat(n_copies, *([1] * (value.ndim - 1)))


def hidden_of(output: Any) -> Tensor:
    """The hidden state of a decoder layer's output: a tensor in transformers 5, the head of a tuple before."""
    hidden = output[0] if isinstance(output, tuple) else output
    if not isinstance(hidden, torch.Tensor):
        raise TypeError(f"a decoder layer returned {type(output).__name__}, not a hidden state")
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """`output` of a decoder layer with its hidden state replaced."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
