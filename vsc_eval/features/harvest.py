"""Run a VLM over prompts and give out what one of its decoder layers says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vsc_eval.backends.hf.decoder import TextDecoder, find_decoder, hidden_of, keep_last_logits, with_hidden
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts, option_token_ids
from vsc_eval.backends.hf.shared import run_prefix
from vsc_eval.errors import DataError
from vsc_eval.interventions.activations import PooledActivations, Pooling, pool_codes
from vsc_eval.interventions.edits import position_mask
from vsc_eval.interventions.harvest import Firing, FiringMeter
from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import ReconstructionMeter

Positions = Literal["image", "text", "last", "all"]


def decoder_at(vlm: LoadedVLM, layer: int) -> TextDecoder:
    """The model's text decoder. Raises SpecError if it has no such layer."""
    decoder = find_decoder(vlm.model)
    decoder.check_layer(layer)
    return decoder


def encoded_batches(
    vlm: LoadedVLM, prompts: Iterable[Prompt], positions: Positions, batch_size: int
) -> Iterator[tuple[BatchInputs, Tensor]]:
    """Model inputs, batch by batch, each with the bool [B, T] mask of the chosen tokens (never padding)."""
    remaining = iter(prompts)
    while batch := list(itertools.islice(remaining, batch_size)):
        inputs = encode_prompts(vlm, batch)
        yield inputs, position_mask(positions, inputs.attention_mask, inputs.image_mask)


def collect(
    vlm: LoadedVLM,
    layer: int,
    prompts: Iterable[Prompt],
    positions: Positions,
    batch_size: int,
    *,
    skip_tokens: int = 0,
) -> Iterator[Tensor]:
    """Float32 [n, d] on the CPU: the chosen tokens' hidden states at the output of decoder layer `layer`.

    One tensor a batch. The first `skip_tokens` tokens are left out; of a batch that lies wholly among them only the
    tokens are counted; the model does not run. Raises SpecError for an unknown layer, DataError for a batch without
    any chosen token.
    """
    decoder = decoder_at(vlm, layer)
    for inputs, mask in encoded_batches(vlm, prompts, positions, batch_size):
        n = int(mask.sum())
        if n == 0:
            raise DataError(f"No token is at positions '{positions}'.", hint="Choose other positions.")
        if skip_tokens >= n:
            skip_tokens -= n
            continue
        hidden = run_prefix(vlm.model, decoder, layer, inputs.tensors, keep_cache=False).hidden
        yield hidden[mask].to("cpu", torch.float32)[skip_tokens:]
        skip_tokens = 0


@dataclass(frozen=True, eq=False)
class ItemHarvest:
    """Pooled feature activations of every item, and what was measured on the same tokens."""

    pooled: PooledActivations
    firing: Firing
    meter: ReconstructionMeter


@torch.no_grad()
def harvest_items(
    vlm: LoadedVLM,
    layer: int,
    prompts: Iterable[Prompt],
    positions: Positions,
    batch_size: int,
    sae: SAE,
    pooling: Pooling,
    progress: Callable[[int], None] = lambda n: None,
) -> ItemHarvest:
    """SAE codes of each prompt at `layer`, pooled over its chosen tokens; one row a prompt, on the CPU.

    `progress` is told how many prompts each batch held. Raises like `collect`, and DataError naming the rows without a
    chosen token.
    """
    decoder = decoder_at(vlm, layer)
    meter, firing = ReconstructionMeter(sae), FiringMeter(sae.cfg.d_sae)
    values, fired = [], []
    for inputs, mask in encoded_batches(vlm, prompts, positions, batch_size):
        hidden = run_prefix(vlm.model, decoder, layer, inputs.tensors, keep_cache=False).hidden
        codes = sae.encode_sparse(hidden)
        pooled = pool_codes(codes, mask, sae.cfg.d_sae, pooling)
        firing.update(codes, mask)
        meter.update(hidden[mask])
        values.append(pooled.values.cpu())
        fired.append(pooled.fired.cpu())
        progress(inputs.n_items)
    if not values:
        raise DataError("There are no items to harvest.", hint="Choose at least one task.")
    return ItemHarvest(PooledActivations(torch.cat(values), torch.cat(fired)), firing.result(), meter)


@torch.no_grad()
def option_logprobs(
    vlm: LoadedVLM,
    layer: int,
    prompts: Iterable[Prompt],
    positions: Positions,
    batch_size: int,
    letters: tuple[str, ...],
    replace: Callable[[Tensor], Tensor] | None,
    progress: Callable[[int], None] = lambda n: None,
) -> Tensor:
    """Log-probabilities (nats, full vocabulary) of the option letters at the first answer token, float32 [n, options].

    With `replace` the chosen tokens' h at `layer` gives way to replace(h) [n, d] of the same dtype.
    """
    decoder = decoder_at(vlm, layer)
    ids = list(option_token_ids(vlm, letters))
    rows = []
    for inputs, mask in encoded_batches(vlm, prompts, positions, batch_size):
        logits = _logits(vlm, decoder, layer, inputs, mask, replace)
        rows.append(logits.float().log_softmax(-1)[:, ids].cpu())
        progress(inputs.n_items)
    return torch.cat(rows)


def _logits(
    vlm: LoadedVLM,
    decoder: TextDecoder,
    layer: int,
    inputs: BatchInputs,
    mask: Tensor,
    replace: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    """Of the first answer token, [B, vocabulary]."""

    def splice(_module: Any, _args: Any, output: Any) -> Any:
        if replace is None:
            return None
        hidden = hidden_of(output).clone()
        hidden[mask] = replace(hidden[mask])
        return with_hidden(output, hidden)

    with decoder.layers[layer].register_forward_hook(splice):
        logits: Tensor = vlm.model(**inputs.tensors, use_cache=False, **keep_last_logits(vlm.model)).logits
    return logits[:, -1]
