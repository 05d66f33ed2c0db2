"""From logits, tokens and shifts to readings."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from vsc_eval.backends.hf.forward import StackResult
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.records import Reading


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) in nats over the last axis of two log-probability tensors; float64, never below 0."""
    p = log_p.double()
    return (p.exp() * (p - log_q.double())).nan_to_num(nan=0.0).sum(-1).clamp_min(0.0)


def kl_of_options(baseline: Tensor, logprobs: Tensor) -> float:
    """KL(baseline || condition) of log-probabilities of the options, [options] each, renormalised."""
    return float(kl_divergence(torch.log_softmax(baseline, -1), torch.log_softmax(logprobs, -1)))


def refuse_broken(condition: str | None, prompt_head: str) -> NoReturn:
    """Raises BackendError for logits that overflowed: the token chosen from them is no answer of the model.

    `condition` is its name, None for the baseline.
    """
    if condition is None:
        raise BackendError(
            f"The model's logits for the prompt '{prompt_head}' are not numbers.",
            hint="Load it in another dtype (bfloat16 or float32); float16 overflows on some models.",
        )
    raise BackendError(
        f"Under condition '{condition}' the logits for the prompt '{prompt_head}' are not numbers.",
        hint="Use a smaller value in the edit, or another dtype (bfloat16 or float32).",
    )


def check_edited(condition: str, positions: str, n_tokens: int, prompt_head: str) -> None:
    """Raises SpecError for an edit that touches no token of a prompt."""
    if n_tokens == 0:
        raise SpecError(
            f"Condition '{condition}' edits {positions} tokens, but the prompt '{prompt_head}' has none.",
            hint="Use another position (text, last, all), or leave out the prompts without a picture.",
        )


def stack_readings(
    result: StackResult, option_ids: Sequence[tuple[int, ...]], prompt_heads: Sequence[str], tokenizer: Any
) -> list[list[Reading]]:
    """Readings of one stack, [conditions][items].

    `option_ids` holds the option letters' token ids of each item (empty without options); the baseline's logits are
    the ones that the batch keeps. Raises SpecError for an edit that touches no token of an item, BackendError for
    logits that are not numbers.
    """
    hook, generated = result.hook, result.generated
    n_items = hook.batch.n_items
    assert hook.batch.baseline_logits is not None
    baseline = torch.log_softmax(hook.batch.baseline_logits.float(), -1)
    readings: list[list[Reading]] = [[] for _ in hook.edits]
    for index, edit in enumerate(hook.edits):
        rows = slice(index * n_items, (index + 1) * n_items)
        logprobs = torch.log_softmax(result.logits[rows].float(), -1)
        broken = generated.broken[rows] if generated else logprobs.isnan().any(-1).tolist()
        if True in broken:
            refuse_broken(edit.name if edit else None, prompt_heads[broken.index(True)])
        n_edited = hook.batch.mask(edit.positions).sum(-1).tolist() if edit else [0] * n_items
        kl_vocab, top = kl_divergence(baseline, logprobs).tolist(), logprobs.argmax(-1).tolist()
        shift_edited, shift_last = hook.shift_edited[index], hook.shift_last[index]
        for item, ids in enumerate(map(list, option_ids)):
            if edit is not None:
                check_edited(edit.name, edit.positions, n_edited[item], prompt_heads[item])
            tokens = generated.tokens[rows][item] if generated else []
            decoded = generated is not None and edit is not None and edit.edits_decode
            readings[index].append(
                Reading(
                    text=tokenizer.decode(tokens, skip_special_tokens=True) if generated else None,
                    token_ids=tuple(tokens),
                    top_token_id=top[item],
                    option_logprobs=tuple(logprobs[item][ids].tolist()) if ids else None,
                    kl_options=kl_of_options(baseline[item][ids], logprobs[item][ids]) if ids else None,
                    kl_vocab=kl_vocab[item],
                    shift_edited=None if shift_edited is None else shift_edited[item],
                    shift_last=None if shift_last is None else shift_last[item],
                    n_edited_tokens=n_edited[item],
                    n_fires=generated.n_forwards[rows][item] if generated and decoded else int(edit is not None),
                )
            )
    return readings
