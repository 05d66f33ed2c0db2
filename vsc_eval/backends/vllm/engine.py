"""vLLM behind the engine's interface: many prompts under many conditions, all in one continuous batch.

vLLM runs every (prompt, condition) as a request of its own: the vision tower's output is shared between a prompt's
conditions, the lower layers are not. A request carries its condition, so batches mix them freely; see hook.py. The
workers account for what they edited: an edit that did not happen is an error.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vsc_eval.backends.hf.edit_hook import edits_decode
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, prompt_head
from vsc_eval.backends.hf.scoring import check_edited, kl_of_options, refuse_broken
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.backends.vllm.hook import Account, edited_prompt
from vsc_eval.backends.vllm.requests import Answered, Asked, answers, render
from vsc_eval.backends.vllm.start import check_options, options_mark, start_vllm
from vsc_eval.backends.vllm.worker import ATTACH, CONDITIONS, REPORT, pack_conditions
from vsc_eval.errors import BackendError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers.saelens import save_sae

if TYPE_CHECKING:
    from vllm import LLM

DEFAULT_BATCH_SIZE = 128


class VllmEngine(AnswerEngine):
    """One model in vLLM, many conditions. vLLM is started by the first question."""

    def __init__(
        self,
        vlm: LoadedVLM,
        *,
        sae: SAE | None = None,
        layer: int | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`vlm` may be without weights. `sae` and `layer` (0-based) are needed for edits only.

        batch_size: prompts between two commits to the answer store are twice as many; vLLM batches by itself. options:
        arguments of vLLM's own (`tensor_parallel_size`, ...).

        Raises as AnswerEngine, and SpecError for an option that is not the user's to set.
        """
        super().__init__(vlm, sae, layer, batch_size)
        self.options = dict(options or {})
        check_options(self.options)
        self.answer_mark = options_mark(self.options)
        self._known: set[str] = set()
        self._request_ids = itertools.count(1)

    @cached_property
    def llm(self) -> LLM:
        """vLLM, started, with the hook on the edited layer. Raises BackendError if it cannot be."""
        llm = start_vllm(self.vlm, self.options, edits=self.sae is not None)
        if self.sae is not None:
            with tempfile.TemporaryDirectory(prefix="vsc-eval-sae-") as folder:
                save_sae(self.sae, Path(folder))
                refusals = llm.collective_rpc(ATTACH, args=(self.layer, folder, self.vlm.image_token_ids))
            reason = next((refusal for refusal in refusals if refusal is not None), None)
            if reason is not None:
                raise BackendError(
                    f"vLLM cannot edit '{self.vlm.name}': {reason}.",
                    hint="Change vLLM's arguments (--backend-options NAME=VALUE), or use --backend hf.",
                )
        return llm

    def answer(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition],
        settings: GenSettings,
        progress: Callable[[int], None],
    ) -> list[list[Reading]]:
        """Raises BackendError where vLLM does not start or did not edit what it was told to."""
        new = [condition for condition in conditions if condition.content_hash not in self._known]
        if new:
            self.llm.collective_rpc(CONDITIONS, args=(pack_conditions(new),))
            self._known.update(condition.content_hash for condition in new)
        hashes = [None, *(condition.content_hash for condition in conditions)]
        option_ids = [self.option_ids(prompt.options) for prompt in prompts]
        # All conditions of a prompt follow each other: it is rendered, and its pictures are encoded, once.
        rendered = lru_cache(maxsize=1)(lambda index: render(self.llm, self.vlm, prompts[index]))
        requests = (
            Asked(next(self._request_ids), index, content_hash)
            for index in range(len(prompts))
            for content_hash in hashes
        )
        found: dict[tuple[str | None, int], tuple[int, Answered]] = {}
        left = [len(hashes)] * len(prompts)
        for asked, answered in answers(
            self.llm, requests, rendered, settings, option_ids, sorted(self.vlm.end_token_ids)
        ):
            found[asked.condition, asked.prompt] = asked.request_id, answered
            left[asked.prompt] -= 1
            if not left[asked.prompt]:
                progress(1)
        accounts = self._accounts()
        table: list[list[Reading]] = []
        for condition, content_hash in zip((None, *conditions), hashes, strict=True):
            row = []
            for index, prompt in enumerate(prompts):
                request_id, answered = found[content_hash, index]
                baseline, account = found[None, index][1], accounts.get(request_id)
                row.append(self._reading(prompt, condition, settings, answered, baseline, account))
            table.append(row)
        return table

    def _accounts(self) -> dict[int, Account]:
        """What the workers edited since the last time; they must agree."""
        if self.sae is None:
            return {}
        reports = [dict(report) for report in self.llm.collective_rpc(REPORT)]
        counts = [
            {request_id: account | {"shift": None} for request_id, account in report.items()} for report in reports
        ]
        if any(one != counts[0] for one in counts):
            raise BackendError(
                "vLLM's workers edited different tokens.",
                hint="Use one worker (tensor_parallel_size=1), and report this with the version of vLLM.",
            )
        return reports[0]

    def _reading(
        self,
        prompt: Prompt,
        condition: CompiledCondition | None,
        settings: GenSettings,
        answered: Answered,
        baseline: Answered,
        account: Account | None,
    ) -> Reading:
        """One reading. Raises BackendError for log-probabilities that are not numbers.

        `kl_vocab` and `shift_last` stay None: both compare whole vectors with those of the baseline's request, which
        never leave vLLM's workers.
        """
        head, option_ids, tokens = prompt_head(prompt), self.option_ids(prompt.options), answered.token_ids
        if self.sae is not None:
            n_edited = expected_tokens(condition, answered.prompt_token_ids, self.vlm, head)
            check_account(condition, account, n_edited, len(tokens), head)
        if any(math.isnan(value) for value in answered.first.values()):
            refuse_broken(None if condition is None else condition.name, head)
        generated = [token for token in tokens if token not in self.vlm.end_token_ids] if settings.new_tokens else []
        before, after = ([one.first[token] for token in option_ids] for one in (baseline, answered))
        edited = None if condition is None else account
        return Reading(
            text=self.vlm.tokenizer.decode(generated, skip_special_tokens=True) if settings.new_tokens else None,
            token_ids=tuple(generated),
            top_token_id=tokens[0],
            option_logprobs=tuple(after) or None,
            kl_options=kl_of_options(torch.tensor(before), torch.tensor(after)) if option_ids else None,
            shift_edited=edited["shift"] if edited else None,
            n_edited_tokens=edited["prompt_tokens"] if edited else 0,
            n_fires=0 if condition is None else len(tokens) if edits_decode(condition) else 1,
        )


def expected_tokens(
    condition: CompiledCondition | None, token_ids: Sequence[int], vlm: LoadedVLM, prompt_head: str
) -> int:
    """How many prompt tokens the condition edits. Raises SpecError if it edits, and there are none."""
    if condition is None:
        return 0
    assert condition.spec.edit is not None
    positions = condition.spec.edit.positions
    n_edited = int(edited_prompt(positions, np.isin(np.asarray(token_ids), vlm.image_token_ids)).sum())
    check_edited(condition.name, positions, n_edited, prompt_head)
    return n_edited


def check_account(
    condition: CompiledCondition | None, account: Account | None, n_expected: int, n_new: int, prompt_head: str
) -> None:
    """Raises BackendError unless the workers edited `n_expected` prompt tokens of a request under `condition`, and all
    generated tokens that were fed back, `n_new` - 1, if it edits them."""
    decoding = condition is not None and edits_decode(condition)
    fed = n_new - 1 if decoding else 0
    if account is None or not account["passes"]:
        problem = "the hook never saw the request"
    elif account["condition"] != ("" if condition is None else condition.content_hash):
        problem = "the request ran under another condition"
    elif account["prompt_tokens"] != n_expected:
        problem = f"{account['prompt_tokens']} of {n_expected} prompt tokens were edited"
    # With asynchronous scheduling one token past the end may be computed and thrown away.
    elif not fed <= account["decode_tokens"] <= fed + int(decoding):
        problem = f"{account['decode_tokens']} of {fed} generated tokens were edited"
    else:
        return
    name = "the baseline" if condition is None else f"condition '{condition.name}'"
    raise BackendError(
        f"vLLM did not edit the prompt '{prompt_head}' under {name} as it should: {problem}.",
        hint="Use --backend hf, and report this with the version of vLLM.",
    )
