"""The plain path, one full forward for each condition with a forward hook at layer L; greedy decoding of both paths.

The plain path is the reference that the shared path is tested against, and the fall-back for a decoder that cannot be
split.
"""

import contextlib
import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.backends.hf.decoder import TextDecoder, hidden_of, keep_last_logits, text_config
from vsc_eval.backends.hf.edit_hook import BatchState, EditHook, RowEdit
from vsc_eval.errors import BackendError
from vsc_eval.sae.model import SAE


@dataclass(frozen=True)
class Prefilled:
    """Where decoding starts: the prompt has run, the first token's logits are known."""

    logits: Tensor
    """Of the first answer token, [rows, vocabulary]."""
    cache: Any
    attention_mask: Tensor
    """[rows, T]."""
    position_ids: Tensor | None
    """Of the prompt as the decoder got them, [..., rows or 1, T]; None if it counted from 0 by itself."""


@dataclass(frozen=True)
class Generated:
    """Greedy continuations."""

    tokens: list[list[int]]
    """Of each row, without the end token."""
    n_forwards: list[int]
    """Forwards each row needed for its tokens, the end token included; the prompt's own is one of them."""
    n_steps: int
    """Forwards that ran after the prompt's, for the longest row."""
    final_logits: Tensor
    """Of the last forward, [rows, vocabulary]."""
    broken: list[bool]
    """Of each row, whether a token was chosen by logits that are not numbers."""


@dataclass(frozen=True)
class StackResult:
    """One stack of conditions over one batch; rows are condition-major."""

    hook: EditHook
    logits: Tensor
    """Of the first answer token, [C * B, vocabulary]."""
    generated: Generated | None


@dataclass(frozen=True)
class Runner:
    """What both engine paths share: a model with its decoder, the SAE and the edited layer, and the end of a run."""

    model: nn.Module
    decoder: TextDecoder
    sae: SAE | None
    layer: int | None
    """None if there are no edits."""
    end_ids: Collection[int]
    pad_id: int

    def finish(self, hook: EditHook, start: Prefilled, max_new_tokens: int | None) -> StackResult:
        """Decode if tokens are wanted, then check the number of rows and how often the edit fired. The batch keeps the
        baseline's logits.

        Raises BackendError if a forward went past the hook at the edited layer.
        """
        rows = len(hook.edits) * hook.batch.n_items
        assert start.logits.shape[0] == rows, f"{start.logits.shape[0]} rows for {rows} condition-item pairs"
        if hook.edits[0] is None:
            hook.batch.baseline_logits = start.logits[: hook.batch.n_items]
        generated, expected = None, 1
        if max_new_tokens is not None:
            generated = greedy(
                self.model, start, end_ids=self.end_ids, pad_id=self.pad_id, max_new_tokens=max_new_tokens
            )
            expected += generated.n_steps
        if self.layer is not None and hook.fires != expected:
            raise BackendError(
                f"The edit at layer {self.layer} of {type(self.model).__name__} fired {hook.fires} times in {expected} "
                "forwards.",
                hint="Something bypasses the decoder layers (compiled code, another engine): load the model plainly.",
            )
        return StackResult(hook=hook, logits=start.logits, generated=generated)


def run_hooked(
    runner: Runner, inputs: dict[str, Tensor], batch: BatchState, edit: RowEdit | None, *, max_new_tokens: int | None
) -> StackResult:
    """One condition over one batch by a full forward. The baseline (`edit` None) has to run before its conditions:
    it leaves its last hidden state and its logits in `batch`.

    `max_new_tokens` None only scores the first answer token.
    """
    hook = EditHook([edit], batch, runner.sae)
    with contextlib.nullcontext() if runner.layer is None else hook.attached(runner.decoder, runner.layer):
        start = full_forward(runner.model, runner.decoder, inputs, keep_cache=max_new_tokens is not None)
        return runner.finish(hook, start, max_new_tokens)


@torch.no_grad()
def full_forward(model: nn.Module, decoder: TextDecoder, inputs: dict[str, Tensor], *, keep_cache: bool) -> Prefilled:
    """The ordinary forward of the VLM on a whole batch, whatever is hooked onto it."""
    cache = new_cache(model) if keep_cache else None
    with recorded_arguments(decoder) as arguments:
        output = model(**inputs, past_key_values=cache, use_cache=keep_cache, **keep_last_logits(model))
    return Prefilled(
        logits=output.logits[:, -1],
        cache=cache,
        attention_mask=inputs["attention_mask"],
        position_ids=prompt_positions(arguments),
    )


def new_cache(model: nn.Module) -> Any:
    """An empty dynamic key/value cache for the model's text decoder."""
    from transformers import DynamicCache

    return DynamicCache(config=text_config(model))


@contextlib.contextmanager
def recorded_arguments(decoder: TextDecoder) -> Iterator[dict[str, Any]]:
    """Collects the arguments of the calls of the text decoder by name, positional ones included; the last call's in the
    end."""
    arguments: dict[str, Any] = {}

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments.update(zip(inspect.signature(module.forward).parameters, args, strict=False))
        arguments.update(kwargs)

    with decoder.module.register_forward_pre_hook(record, with_kwargs=True):
        yield arguments


def prompt_positions(arguments: Mapping[str, Any]) -> Tensor | None:
    """Positions among the arguments of a call of the decoder, [B, T] or [3 or 4, B, T]; None if it counts by itself."""
    found = arguments.get("position_ids")
    return found if isinstance(found, Tensor) else None


@torch.no_grad()
def greedy(
    model: nn.Module, start: Prefilled, *, end_ids: Collection[int], pad_id: int, max_new_tokens: int
) -> Generated:
    """Most probable token, step by step, until every row has ended or has `max_new_tokens`.

    Ended rows stay in the batch (their tokens are ignored), so the shape of the others' arithmetic never changes.
    Repetition penalties and other processors of the generation config are not applied.
    """
    rows, length = start.attention_mask.shape
    tokens: list[list[int]] = [[] for _ in range(rows)]
    n_forwards = [0] * rows
    alive = [True] * rows
    broken = [False] * rows
    logits, mask, n_steps = start.logits, start.attention_mask, 0
    # Positions are given also where the model could count by itself: Qwen-VL models otherwise add what they remember of
    # the last batch with pictures to a batch without any.
    last_position = (
        torch.full((rows, 1), length - 1, device=mask.device)
        if start.position_ids is None
        else start.position_ids[..., -1:]
    )
    while True:
        best = logits.argmax(-1)
        # A NaN counts as the largest.
        sound = logits.gather(-1, best[:, None])[:, 0].isfinite().tolist()
        chosen = best.tolist()
        for row in range(rows):
            if not alive[row]:
                continue
            n_forwards[row] += 1
            broken[row] |= not sound[row]
            if chosen[row] in end_ids:
                alive[row] = False
            else:
                tokens[row].append(chosen[row])
                alive[row] = len(tokens[row]) < max_new_tokens
        if not any(alive):
            return Generated(tokens=tokens, n_forwards=n_forwards, n_steps=n_steps, final_logits=logits, broken=broken)
        n_steps += 1
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=-1)
        fed = [token if living else pad_id for token, living in zip(chosen, alive, strict=True)]
        output = model(
            input_ids=torch.tensor(fed, device=mask.device)[:, None],
            attention_mask=mask,
            position_ids=last_position + n_steps,
            past_key_values=start.cache,
            use_cache=True,
            **keep_last_logits(model),
        )
        logits = output.logits[:, -1]


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

            stack.enter_context(decoder.layers[layer].register_forward_hook(keep))
        model(**inputs, use_cache=False, **keep_last_logits(model))
    return kept
