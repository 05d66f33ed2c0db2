"""From prompts to vLLM's requests, and through its scheduler: a bounded number in flight, aborted if we are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import (
    Prompt,
    adds_start_token,
    check_image_tokens,
    prompt_head,
    render_chat,
)
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.backends.vllm.worker import ARGUMENT
from vsc_eval.errors import BackendError, DataError

if TYPE_CHECKING:
    from vllm import LLM

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

    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """Of the answer, the end token included."""
    first: dict[int, float]
    """Log-probabilities of the first answer token, over the whole vocabulary: of the options and of the chosen one."""


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


def answers(
    llm: LLM,
    requests: Iterator[Asked],
    rendered: Callable[[int], Any],
    settings: GenSettings,
    option_ids: Sequence[tuple[int, ...]],
    end_ids: Sequence[int],
) -> Iterator[tuple[Asked, Answered]]:
    """Each request with its answer, in the order in which they finish; `rendered` and `option_ids` are of a prompt.

    If the caller stops early, what is in flight is aborted. Raises BackendError for a request that vLLM gave up.
    """
    engine = llm.llm_engine
    flying: dict[str, Asked] = {}
    try:
        while True:
            for asked in islice(requests, _IN_FLIGHT - len(flying)):
                params = sampling(asked, settings, option_ids[asked.prompt], end_ids)
                engine.add_request(str(asked.request_id), rendered(asked.prompt), params)
                flying[str(asked.request_id)] = asked
            if not flying:
                return
            if not engine.has_unfinished_requests():
                raise BackendError(
                    f"vLLM lost {len(flying)} requests.", hint="Use --backend hf, and report this with vLLM's version."
                )
            for output in engine.step():
                if output.finished:
                    yield flying.pop(output.request_id), _answered(output)
    finally:
        if flying:
            engine.abort_request(list(flying))
            while engine.has_unfinished_requests():
                engine.step()


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


def _answered(output: Any) -> Answered:
    (answer,) = output.outputs
    if answer.finish_reason not in ("stop", "length") or not answer.token_ids:
        raise BackendError(
            f"vLLM gave a request up ({answer.finish_reason}).", hint="Give it more memory, or fewer max_num_seqs."
        )
    first = {int(token): float(entry.logprob) for token, entry in answer.logprobs[0].items()}
    return Answered(tuple(output.prompt_token_ids), tuple(answer.token_ids), first)
