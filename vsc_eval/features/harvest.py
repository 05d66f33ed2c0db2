"""The synthetic benchmark as prompts, and what one of a VLM's decoder layers says of prompts."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vsc_eval.backends.hf.decoder import hidden_of, keep_last_logits, with_hidden
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts, option_token_ids
from vsc_eval.backends.hf.shared import run_prefix
from vsc_eval.errors import DataError
from vsc_eval.interventions.edits import position_mask
from vsc_eval.interventions.harvest import PooledActivations, pool_codes
from vsc_eval.interventions.select import Pooling
from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import Firing, ReconstructionMeter, ReconstructionQuality
from vsc_eval.seeding import torch_generator
from vsc_eval.specs import Positions
from vsc_eval.synthetic import DEFAULT_SIZES, LETTERS, LEVELS, TASKS, Item, make_items, render


def benchmark_items(split: str, tasks: Sequence[str] = TASKS, items_per_cell: int | None = None) -> list[Item]:
    """Items of every level of `tasks` in `split`, cell after cell; the split's default size unless told otherwise.
    Raises SpecError for an unknown task and for a number that is no multiple of 4."""
    n = DEFAULT_SIZES[split] if items_per_cell is None else items_per_cell
    return [item for task in tasks for level in LEVELS for item in make_items(split, task, level, n)]


def to_prompt(item: Item) -> Prompt:
    """The item's question with its picture."""
    return Prompt(text=item.prompt, images=(render(item.scene),), options=LETTERS)


def endless_shuffled_prompts(items: Sequence[Item], seed: int) -> Iterator[Prompt]:
    """The items' prompts epoch after epoch, each epoch in an order of its own."""
    for epoch in itertools.count():
        generator = torch_generator("sae items", seed, epoch)
        for index in torch.randperm(len(items), generator=generator).tolist():
            yield to_prompt(items[index])


@dataclass(frozen=True, eq=False)
class LayerReader:
    """The output of decoder layer `layer` at the chosen tokens of prompts. Raises SpecError for an unknown layer."""

    vlm: LoadedVLM
    layer: int
    positions: Positions
    batch_size: int

    def __post_init__(self) -> None:
        self.vlm.decoder.check_layer(self.layer)

    def collect(self, prompts: Iterable[Prompt], *, skip_tokens: int = 0) -> Iterator[Tensor]:
        """Float32 [n, d] on the CPU: the chosen tokens' hidden states, one tensor a batch. The first `skip_tokens`
        tokens are left out; of a batch that lies wholly among them only the tokens are counted; the model does not run.
        Raises DataError for a batch without any chosen token."""
        for inputs, mask in self._batches(prompts):
            n = int(mask.sum())
            if n == 0:
                raise DataError(f"No token is at positions '{self.positions}'.", hint="Choose other positions.")
            if skip_tokens >= n:
                skip_tokens -= n
                continue
            yield self._hidden(inputs)[mask].to("cpu", torch.float32)[skip_tokens:]
            skip_tokens = 0

    @torch.no_grad()
    def harvest(
        self, prompts: Iterable[Prompt], sae: SAE, pooling: Pooling, progress: Callable[[int], None] = lambda n: None
    ) -> tuple[PooledActivations, Firing, ReconstructionQuality]:
        """SAE codes of each prompt, pooled over its chosen tokens, on the CPU; and figures of the same tokens.
        `progress` is told how many prompts each batch held. Raises DataError naming the rows without a chosen token."""
        meter = ReconstructionMeter(sae)
        values, fired = [], []
        for inputs, mask in self._batches(prompts):
            hidden = self._hidden(inputs)
            pooled = pool_codes(sae.encode_sparse(hidden), mask, sae.cfg.d_sae, pooling)
            meter.update(hidden[mask])
            values.append(pooled.values.cpu())
            fired.append(pooled.fired.cpu())
            progress(inputs.n_items)
        if not values:
            raise DataError("There are no items to harvest.", hint="Choose at least one task.")
        return PooledActivations(torch.cat(values), torch.cat(fired)), meter.firing(), meter.result()

    @torch.no_grad()
    def option_logprobs(
        self,
        prompts: Iterable[Prompt],
        replace: Callable[[Tensor], Tensor] | None,
        progress: Callable[[int], None] = lambda n: None,
    ) -> Tensor:
        """Log-probabilities (nats, full vocabulary) of the letters at the first answer token, float32 [n, options].
        With `replace` the chosen tokens' h gives way to replace(h) [n, d] of the same dtype."""
        ids = list(option_token_ids(self.vlm, LETTERS))
        rows = []
        for inputs, mask in self._batches(prompts):

            def splice(_module: Any, _args: Any, output: Any, mask: Tensor = mask) -> Any:
                if replace is not None:
                    hidden = hidden_of(output).clone()
                    hidden[mask] = replace(hidden[mask])
                    output = with_hidden(output, hidden)
                return output

            with self.vlm.decoder.layers[self.layer].register_forward_hook(splice):
                output = self.vlm.model(**inputs.tensors, use_cache=False, **keep_last_logits(self.vlm.model))
            rows.append(output.logits[:, -1].float().log_softmax(-1)[:, ids].cpu())
            progress(inputs.n_items)
        return torch.cat(rows)

    def _batches(self, prompts: Iterable[Prompt]) -> Iterator[tuple[BatchInputs, Tensor]]:
        """Model inputs, batch by batch, each with the bool [B, T] mask of the chosen tokens (never padding)."""
        remaining = iter(prompts)
        while batch := list(itertools.islice(remaining, self.batch_size)):
            inputs = encode_prompts(self.vlm, batch)
            yield inputs, position_mask(self.positions, inputs.attention_mask, inputs.image_mask)

    def _hidden(self, inputs: BatchInputs) -> Tensor:
        return run_prefix(self.vlm.model, self.vlm.decoder, self.layer, inputs.tensors, keep_cache=False).hidden
