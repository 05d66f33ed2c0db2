"""vLLM behind the engine's interface: many prompts under many conditions, all in one continuous batch.

vLLM runs every (prompt, condition) as a request of its own: the vision tower's output is shared between a prompt's
conditions, the lower layers are not. A request carries its condition, so batches mix them freely; see worker.py. The
workers account for what they edited: an edit that did not happen is an error.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vsc_eval.backends.hf.edit_hook import edits_decode
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, adds_start_token, check_image_tokens, prompt_head, render_chat
from vsc_eval.backends.hf.scoring import check_edited, kl_of_options, refuse_broken
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.backends.vllm.start import check_options, options_mark, starting
from vsc_eval.backends.vllm.worker import ARGUMENT, ATTACH, CONDITIONS, REPORT, Account, edited_prompt, pack_conditions
from vsc_eval.errors import BackendError, DataError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers.saelens import save_sae

if TYPE_CHECKING:
    from vllm import LLM

DEFAULT_BATCH_SIZE = 128
_IN_FLIGHT = 512
"""Requests that vLLM has at a time; more would only fill its queue."""


@dataclass(frozen=True)
class Asked:
    """One prompt under one condition."""

    request_id: int
    prompt: int
    """Index of the prompt."""
    condition: str | None
    """Content hash; None for the baseline."""


@dataclass(frozen=True)
class Answered:
    """What vLLM gave for one request."""

    asked: Asked
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """Of the answer, the end token included."""
    first: dict[int, float]
    """Log-probabilities of the first answer token, over the whole vocabulary: of the options and of the chosen one."""


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
        """`vlm` may be without weights. batch_size: of what is stored in one step; vLLM batches by itself. options:
        vLLM's own arguments. Raises as AnswerEngine, and SpecError for an option that is not the user's to set."""
        super().__init__(vlm, sae, layer, batch_size)
        self.options = dict(options or {})
        check_options(self.options)
        self.answer_mark = options_mark(self.options)
        self._known: set[str] = set()
        self._request_ids = itertools.count(1)

    @cached_property
    def llm(self) -> LLM:
        """vLLM, started, with the hook on the edited layer. Raises BackendError if it cannot be."""
        with starting(self.vlm, self.options, edits=self.sae is not None) as arguments:
            from vllm import LLM

            llm = LLM(**arguments)
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
        requests = (Asked(next(self._request_ids), index, one) for index in range(len(prompts)) for one in hashes)
        found: dict[tuple[str | None, int], Answered] = {}
        left = [len(hashes)] * len(prompts)
        for answered in self._answers(prompts, requests, settings):
            index = answered.asked.prompt
            found[answered.asked.condition, index] = answered
            left[index] -= 1
            if not left[index]:
                progress(1)
        accounts = self._accounts()
        return [
            [
                self._reading(prompt, condition, settings, found[one, index], found[None, index], accounts)
                for index, prompt in enumerate(prompts)
            ]
            for condition, one in zip((None, *conditions), hashes, strict=True)
        ]

    def _answers(
        self, prompts: Sequence[Prompt], requests: Iterator[Asked], settings: GenSettings
    ) -> Iterator[Answered]:
        """The answer to each request, in the order in which they finish, a bounded number in flight.

        If the caller stops early, what is in flight is aborted. Raises BackendError for a request that vLLM gave up.
        """
        engine, flying = self.llm.llm_engine, dict[str, Asked]()
        # All conditions of a prompt follow each other: it is rendered, and its pictures are encoded, once.
        rendered = lru_cache(maxsize=1)(lambda index: render(self.llm, self.vlm, prompts[index]))
        options, end_ids = [self.option_ids(prompt.options) for prompt in prompts], sorted(self.vlm.end_token_ids)
        try:
            while True:
                for asked in itertools.islice(requests, _IN_FLIGHT - len(flying)):
                    params = sampling(asked, settings, options[asked.prompt], end_ids)
                    engine.add_request(str(asked.request_id), rendered(asked.prompt), params)
                    flying[str(asked.request_id)] = asked
                if not flying:
                    return
                if not engine.has_unfinished_requests():
                    raise BackendError(
                        f"vLLM lost {len(flying)} requests.",
                        hint="Use --backend hf, and report this with vLLM's version.",
                    )
                for output in engine.step():
                    if output.finished:
                        yield _answered(flying.pop(output.request_id), output)
        finally:
            if flying:
                engine.abort_request(list(flying))
                while engine.has_unfinished_requests():
                    engine.step()

    def _accounts(self) -> dict[int, Account]:
        """What the workers edited since the last time; they must agree."""
        if self.sae is None:
            return {}
        reports = [dict(report) for report in self.llm.collective_rpc(REPORT)]
        counts = [{request: account | {"shift": None} for request, account in report.items()} for report in reports]
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
        accounts: Mapping[int, Account],
    ) -> Reading:
        """One reading. Raises BackendError for log-probabilities that are not numbers.

        `kl_vocab` and `shift_last` stay None: both compare whole vectors with those of the baseline's request, which
        never leave vLLM's workers.
        """
        head, option_ids, tokens = prompt_head(prompt), self.option_ids(prompt.options), answered.token_ids
        account = accounts.get(answered.asked.request_id)
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


def render(llm: LLM, vlm: LoadedVLM, prompt: Prompt) -> Any:
    """A prompt as vLLM takes it. Raises DataError for one that it does not take, or not whole."""
    from vllm.exceptions import VLLMValidationError
    from vllm.renderers.inputs.preprocess import parse_model_prompt

    text = render_chat(vlm, prompt)
    asked: dict[str, Any] = {"prompt": text}
    if prompt.images:
        asked["multi_modal_data"] = {"image": [image.convert("RGB") for image in prompt.images]}
    model, renderer = llm.llm_engine.model_config, llm.llm_engine.renderer
    how = renderer.default_cmpl_tok_params.with_kwargs(add_special_tokens=adds_start_token(vlm, text))
    try:
        (found,) = renderer.render_cmpl([parse_model_prompt(model, asked)], how)
    except VLLMValidationError as error:
        raise DataError(
            f"vLLM does not take the prompt '{prompt_head(prompt)}': {error}",
            hint="Shorten it or use smaller pictures; for several pictures a prompt give"
            " --backend-options 'limit_mm_per_prompt={image: 8, video: 0}'.",
        ) from error
    token_ids = found["prompt_token_ids"]
    if len(token_ids) >= model.max_model_len:
        raise DataError(
            f"The prompt '{prompt_head(prompt)}' has {len(token_ids)} tokens; vLLM takes {model.max_model_len - 1} of"
            f" '{vlm.name}'.",
            hint="Shorten it, use smaller pictures (`max_pixels`), or give --backend-options max_model_len=N.",
        )
    check_image_tokens(vlm, prompt, sum(token in vlm.image_token_ids for token in token_ids))
    return found


def sampling(asked: Asked, settings: GenSettings, options: tuple[int, ...], end_ids: Sequence[int]) -> Any:
    """vLLM's parameters of one request: greedy, with the log-probabilities of `options`, under its condition."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0.0,
        max_tokens=settings.new_tokens or 1,
        # Without options some token must be named: vLLM then reports the chosen one too.
        logprob_token_ids=list(options) or [end_ids[0]],
        stop_token_ids=list(end_ids),
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        extra_args={ARGUMENT: {"request_id": asked.request_id, "condition": asked.condition}},
    )


def _answered(asked: Asked, output: Any) -> Answered:
    (answer,) = output.outputs
    if answer.finish_reason not in ("stop", "length") or not answer.token_ids:
        raise BackendError(
            f"vLLM gave a request up ({answer.finish_reason}).", hint="Give it more memory, or fewer max_num_seqs."
        )
    first = {int(token): float(entry.logprob) for token, entry in answer.logprobs[0].items()}
    return Answered(asked, tuple(output.prompt_token_ids), tuple(answer.token_ids), first)


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
