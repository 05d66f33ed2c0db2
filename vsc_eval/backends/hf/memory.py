"""How many conditions fit into one stack."""

import os
from typing import Any

import torch
from torch import nn

from vsc_eval.backends.hf.decoder import text_config

_CPU_SHARE = 0.125
_ACCELERATOR_SHARE = 0.5
# Stacking helps only where a condition's own matrix products are too small for the device: the baseline's row in every
# stack costs more than it saves otherwise. On a CPU (vsc-tiny, 8 prompts of 222 tokens) stacks of 4 or 16 took 1.3 to 2
# times as long as one condition at a time.
_CPU_TOKENS = 512
_ACCELERATOR_TOKENS = 32768
_SMALLEST_USEFUL_STACK = 4
MAX_STACK = 32


def default_budget_bytes(model: nn.Module, device: torch.device) -> int:
    """Bytes for activations: half of what the weights leave of a GPU, or an eighth of the machine's memory.

    Taken from totals, not from what is free at the moment, so that the same machine always sizes its stacks alike.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        return int(max(total - weights, 0) * _ACCELERATOR_SHARE)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * _CPU_SHARE)


def condition_bytes(model: nn.Module, n_items: int, n_tokens: int, max_new_tokens: int | None) -> int:
    """Bytes that one more condition of a batch of `n_items` prompts of `n_tokens` tokens takes at its peak.

    One layer's activations, the attention mask (and scores, where attention is eager), the head's logits in float32,
    and with `max_new_tokens` the key/value cache of all layers.
    """
    config: Any = text_config(model)
    size = next(model.parameters()).element_size()
    width = int(config.hidden_size)
    heads = int(config.num_attention_heads)
    inner = int(getattr(config, "intermediate_size", 4 * width))
    tokens = n_items * n_tokens
    activations = tokens * (8 * width + 3 * inner) * size + tokens * 3 * width * 4
    eager = getattr(config, "_attn_implementation", None) == "eager"
    attention = tokens * n_tokens * (size + (heads * (size + 4) if eager else 0))
    logits = n_items * int(config.vocab_size) * 16
    cache = 0
    if max_new_tokens is not None:
        head_dim = int(getattr(config, "head_dim", None) or width // heads)
        kv_heads = int(getattr(config, "num_key_value_heads", None) or heads)
        cached_tokens = n_items * (n_tokens + max_new_tokens)
        cache = 2 * kv_heads * head_dim * size * cached_tokens * int(config.num_hidden_layers)
    return activations + attention + logits + cache


def fitting_stack(budget_bytes: int, per_condition_bytes: int) -> int:
    """Conditions that fit into a stack, baseline included, at least 1. The prefix is reckoned as one condition."""
    return max(1, budget_bytes // max(per_condition_bytes, 1) - 1)


def useful_stack(device: torch.device, n_tokens_per_condition: int) -> int:
    """Conditions in a stack, baseline included, with which the device is busy; 1 (no stack) if one suffices."""
    target = _CPU_TOKENS if device.type == "cpu" else _ACCELERATOR_TOKENS
    size = min(MAX_STACK, target // max(n_tokens_per_condition, 1))
    return size if size >= _SMALLEST_USEFUL_STACK else 1


def plan_stacks(n_edits: int, limit: int, *, constant: bool) -> tuple[int, int]:
    """(number of stacks, conditions in each, baseline included) for `n_edits` edited conditions.

    Every stack has the same size. `constant` makes it `limit` whatever the number of conditions; otherwise the stacks
    are as small as their number allows. Size 1 means one condition at a time, with the baseline on its own.
    """
    if limit < 2:
        return n_edits, 1
    n_stacks = -(-n_edits // (limit - 1))
    return n_stacks, limit if constant else -(-n_edits // n_stacks) + 1
