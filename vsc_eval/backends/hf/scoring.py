"""From logits, tokens and shifts to readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vsc_eval.backends.hf.edit_hook import RowEdit
from vsc_eval.backends.hf.run import StackResult
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.records import Reading


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) in nats over the last axis of two log-probability tensors; float64, never below 0."""
    p = log_p.double()
    return (p.exp() * (p - log_q.double())).nan_to_num(nan=0.0).sum(-1).clamp_min(0.0)


def stack_readings(
    result: StackResult, option_ids: Sequence[tuple[int, ...]], prompt_heads: Sequence[str], tokenizer: Any
) -> list[list[Reading]]:
    """Readings of one stack, [conditions][items].

    `option_ids` holds the option letters' token ids of each item (empty without options); the baseline's logits are
    the ones that the batch keeps. Raises SpecError for an edit that touches no token of an item, BackendError for
    logits that are not numbers.
    """
    batch = result.hook.batch
    assert batch.baseline_logits is not None
    baseline = torch.log_softmax(batch.baseline_logits.float(), -1)
    texts = _texts(result, tokenizer)
    readings = []
    for index, edit in enumerate(result.hook.edits):
        rows = slice(index * batch.n_items, (index + 1) * batch.n_items)
        logprobs = torch.log_softmax(result.logits[rows].float(), -1)
        broken = result.generated.broken[rows] if result.generated else logprobs.isnan().any(-1).tolist()
        _check_numbers(broken, edit, prompt_heads)
        kl_vocab = kl_divergence(baseline, logprobs).tolist()
        top = logprobs.argmax(-1).tolist()
        n_edited = _edited_tokens(result, edit, prompt_heads)
        readings.append(
            [
                Reading(
                    text=texts[rows][item],
                    token_ids=tuple(result.generated.tokens[rows][item]) if result.generated else (),
                    top_token_id=top[item],
                    option_logprobs=_option_logprobs(logprobs[item], option_ids[item]),
                    kl_options=_kl_options(baseline[item], logprobs[item], option_ids[item]),
                    kl_vocab=kl_vocab[item],
                    shift_edited=_at(result.hook.shift_edited[index], item),
                    shift_last=_at(result.hook.shift_last[index], item),
                    n_edited_tokens=n_edited[item],
                    n_fires=_n_fires(result, edit, index * batch.n_items + item),
                )
                for item in range(batch.n_items)
            ]
        )
    return readings


def _check_numbers(broken: list[bool], edit: RowEdit | None, prompt_heads: Sequence[str]) -> None:
    """Raises BackendError if an item's logits overflowed: the token chosen from them is no answer of the model."""
    if True not in broken:
        return
    head = prompt_heads[broken.index(True)]
    if edit is None:
        raise BackendError(
            f"The model's logits for the prompt '{head}' are not numbers.",
            hint="Load it in another dtype (bfloat16 or float32); float16 overflows on some models.",
        )
    raise BackendError(
        f"Under condition '{edit.name}' the logits for the prompt '{head}' are not numbers.",
        hint="Use a smaller value in the edit, or dtype float32.",
    )


def _texts(result: StackResult, tokenizer: Any) -> list[str | None]:
    if result.generated is None:
        return [None] * result.logits.shape[0]
    return [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in result.generated.tokens]


def _edited_tokens(result: StackResult, edit: RowEdit | None, prompt_heads: Sequence[str]) -> list[int]:
    if edit is None:
        return [0] * result.hook.batch.n_items
    counts: list[int] = result.hook.batch.mask(edit.positions).sum(-1).tolist()
    for count, head in zip(counts, prompt_heads, strict=True):
        if count == 0:
            raise SpecError(
                f"Condition '{edit.name}' edits {edit.positions} tokens, but the prompt '{head}' has none.",
                hint="Use another position (text, last, all), or leave out the prompts without a picture.",
            )
    return counts


def _option_logprobs(logprobs: Tensor, ids: tuple[int, ...]) -> tuple[float, ...] | None:
    return tuple(logprobs[list(ids)].tolist()) if ids else None


def _kl_options(baseline: Tensor, logprobs: Tensor, ids: tuple[int, ...]) -> float | None:
    if not ids:
        return None
    chosen = list(ids)
    return float(kl_divergence(torch.log_softmax(baseline[chosen], -1), torch.log_softmax(logprobs[chosen], -1)))


def _at(values: list[float] | None, item: int) -> float | None:
    return None if values is None else values[item]


def _n_fires(result: StackResult, edit: RowEdit | None, row: int) -> int:
    if edit is None:
        return 0
    if result.generated is None or not edit.edits_decode:
        return 1
    return result.generated.n_forwards[row]
