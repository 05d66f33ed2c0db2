"""From vLLM's answers and the workers' accounts to readings; an edit that did not happen is an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vsc_eval.backends.hf.engine import GenSettings
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.scoring import kl_divergence
from vsc_eval.backends.vllm.asking import Answered
from vsc_eval.backends.vllm.audit import Account
from vsc_eval.backends.vllm.positions import edited_prompt
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading


def expected_tokens(condition: CompiledCondition, token_ids: Sequence[int], vlm: LoadedVLM, head: str) -> int:
    """How many prompt tokens the condition edits. Raises SpecError if there are none."""
    assert condition.spec.edit is not None
    positions = condition.spec.edit.positions
    n_edited = int(edited_prompt(positions, np.isin(np.asarray(token_ids), vlm.image_token_ids)).sum())
    if n_edited == 0:
        raise SpecError(
            f"Condition '{condition.name}' edits {positions} tokens, but the prompt '{head}' has none.",
            hint="Use another position (text, last, all), or leave out the prompts without a picture.",
        )
    return n_edited


def check_account(
    condition: CompiledCondition | None, account: Account | None, n_expected: int, n_new: int, head: str
) -> None:
    """Raises BackendError unless the workers edited `n_expected` prompt tokens of a request under `condition`, and all
    generated tokens that were fed back, `n_new` - 1, if it edits them."""
    problem = None
    if account is None or not account["passes"]:
        problem = "the hook never saw the request"
    elif account["condition"] != ("" if condition is None else condition.content_hash):
        problem = "the request ran under another condition"
    elif account["prompt_tokens"] != n_expected:
        problem = f"{account['prompt_tokens']} of {n_expected} prompt tokens were edited"
    else:
        decoding = condition is not None and edits_decode(condition)
        fed = n_new - 1 if decoding else 0
        edited = account["decode_tokens"]
        assert isinstance(edited, int)
        # With asynchronous scheduling one token past the end may be computed and thrown away.
        if not fed <= edited <= fed + int(decoding):
            problem = f"{edited} of {fed} generated tokens were edited"
    if problem is not None:
        name = "the baseline" if condition is None else f"condition '{condition.name}'"
        raise BackendError(
            f"vLLM did not edit the prompt '{head}' under {name} as it should: {problem}.",
            hint="Use --backend hf, and report this with the version of vLLM.",
        )


def edits_decode(condition: CompiledCondition) -> bool:
    """Whether generated tokens are edited; they are text."""
    edit = condition.spec.edit
    return edit is not None and edit.decode and edit.positions != "image"


def reading(
    answered: Answered,
    baseline: Answered,
    condition: CompiledCondition | None,
    account: Account | None,
    *,
    settings: GenSettings,
    option_ids: tuple[int, ...],
    vlm: LoadedVLM,
    head: str,
) -> Reading:
    """One reading. Raises BackendError for log-probabilities that are not numbers.

    `kl_vocab` and `shift_last` stay None: both compare whole vectors with those of the baseline's request, which never
    leave vLLM's workers.
    """
    if any(math.isnan(value) for value in answered.first.values()):
        name = "the baseline" if condition is None else f"condition '{condition.name}'"
        raise BackendError(
            f"Under {name} the logits for the prompt '{head}' are not numbers.",
            hint="Use a smaller value in the edit, or another dtype (bfloat16 or float32).",
        )
    tokens = answered.token_ids
    generated = [token for token in tokens if token not in vlm.end_token_ids] if settings.new_tokens else []
    n_fires = 0 if condition is None else len(tokens) if edits_decode(condition) else 1
    return Reading(
        text=vlm.tokenizer.decode(generated, skip_special_tokens=True) if settings.new_tokens else None,
        token_ids=tuple(generated),
        top_token_id=tokens[0],
        option_logprobs=tuple(answered.first[i] for i in option_ids) if option_ids else None,
        kl_options=_kl(baseline, answered, option_ids),
        shift_edited=_shift(account) if condition is not None else None,
        n_edited_tokens=_count(account) if condition is not None else 0,
        n_fires=n_fires,
    )


def _kl(baseline: Answered, answered: Answered, option_ids: tuple[int, ...]) -> float | None:
    if not option_ids:
        return None
    p, q = (torch.log_softmax(torch.tensor([one.first[i] for i in option_ids]), -1) for one in (baseline, answered))
    return float(kl_divergence(p, q))


def _shift(account: Any) -> float | None:
    return None if account is None else account["shift"]


def _count(account: Any) -> int:
    return 0 if account is None else account["prompt_tokens"]
