"""vLLM behind the engine's interface: many prompts under many conditions, all in one continuous batch.

vLLM runs every (prompt, condition) as a request of its own: the vision tower's output is shared between a prompt's
conditions, the lower layers are not. A request carries its condition, so batches mix them freely; see hook.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsc_eval.backends.hf.engine import GenSettings
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, option_token_ids, prompt_head
from vsc_eval.backends.vllm.arguments import check_options, options_mark
from vsc_eval.backends.vllm.asking import Answered, Asked, Rendered, answers
from vsc_eval.backends.vllm.audit import Account
from vsc_eval.backends.vllm.payload import pack_conditions
from vsc_eval.backends.vllm.readings import check_account, expected_tokens, reading
from vsc_eval.backends.vllm.start import start_vllm
from vsc_eval.backends.vllm.worker import ATTACH, CONDITIONS, REPORT
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE, check_width
from vsc_eval.sae.readers.saelens import save_sae

if TYPE_CHECKING:
    from vllm import LLM

DEFAULT_BATCH_SIZE = 128


class VllmEngine:
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

        Raises SpecError for an option out of range, DataError for an SAE of another width.
        """
        if batch_size < 1:
            raise SpecError("batch_size must be at least 1.", hint="Give a positive number.")
        if (sae is None) != (layer is None):
            raise SpecError("An SAE and a layer go together.", hint="Give both, or neither for the baseline alone.")
        self.options = dict(options or {})
        check_options(self.options)
        if layer is not None:
            vlm.decoder.check_layer(layer)
        if sae is not None:
            check_width(sae.cfg, vlm.decoder.d_model)
        self.vlm = vlm
        self.sae = sae
        self.layer = layer
        self.batch_size = batch_size
        self._known: set[str] = set()
        self._request_id = 0
        self._option_ids: dict[tuple[str, ...], tuple[int, ...]] = {(): ()}

    @property
    def answer_mark(self) -> str:
        """Tells this backend's answers from others' in the answer store."""
        return options_mark(self.options)

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
                    hint="Change vLLM's arguments (--vllm NAME=VALUE), or use --backend hf.",
                )
        return llm

    def read(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition | None],
        settings: GenSettings,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Reading]]:
        """Readings [conditions][prompts], in the order given; None is the baseline, which runs in any case.

        Conditions of equal content run once. `progress` is called with a number of prompts that are answered under all
        conditions. Raises SpecError for a condition of another layer, for edits of tokens that a prompt lacks and for
        the `loglikelihood` scoring of a prompt without options, DataError for a prompt that is too long, BackendError
        where vLLM does not start or did not edit what it was told to.
        """
        self._check_request(prompts, conditions, settings)
        by_hash: dict[str | None, CompiledCondition | None] = {None: None}
        keys = [None if c is None or c.is_baseline else c.content_hash for c in conditions]
        by_hash |= {key: c for key, c in zip(keys, conditions, strict=True) if key is not None}
        if not prompts:
            return [[] for _ in conditions]
        self._announce([c for c in by_hash.values() if c is not None])
        table = self._ask(prompts, by_hash, settings, progress)
        return [[table[key, index] for index in range(len(prompts))] for key in keys]

    def _check_request(
        self, prompts: Sequence[Prompt], conditions: Sequence[CompiledCondition | None], settings: GenSettings
    ) -> None:
        for prompt in prompts:
            if settings.scoring == "loglikelihood" and not prompt.options:
                raise SpecError(
                    f"The prompt '{prompt_head(prompt)}' has no options to choose from.",
                    hint="Use the `generate` scoring for it.",
                )
        for condition in conditions:
            if condition is not None and not condition.is_baseline and condition.layer != self.layer:
                raise SpecError(
                    f"Condition '{condition.name}' edits layer {condition.layer}; the engine edits layer {self.layer}.",
                    hint="Use conditions of one intervention with its own SAE and layer.",
                )

    def _announce(self, conditions: Sequence[CompiledCondition]) -> None:
        """Tell the workers about conditions that they do not know."""
        new = [condition for condition in conditions if condition.content_hash not in self._known]
        if new:
            self.llm.collective_rpc(CONDITIONS, args=(pack_conditions(new),))
            self._known.update(condition.content_hash for condition in new)

    def _ask(
        self,
        prompts: Sequence[Prompt],
        by_hash: Mapping[str | None, CompiledCondition | None],
        settings: GenSettings,
        progress: Callable[[int], None] | None,
    ) -> dict[tuple[str | None, int], Reading]:
        option_ids = [self.option_ids(prompt.options) for prompt in prompts]
        found: dict[tuple[str | None, int], tuple[int, Answered]] = {}
        tokens: dict[int, list[int]] = {}
        left = [len(by_hash)] * len(prompts)
        end_ids = sorted(self.vlm.end_token_ids)
        rendered = Rendered(self.llm, self.vlm, prompts)
        requests = self._requests(len(prompts), list(by_hash))
        for asked, answered, prompt_tokens in answers(
            self.llm, rendered, requests, settings, lambda index: option_ids[index], end_ids
        ):
            found[asked.condition, asked.prompt] = (asked.request_id, answered)
            tokens[asked.prompt] = prompt_tokens
            left[asked.prompt] -= 1
            if not left[asked.prompt] and progress is not None:
                progress(1)
        accounts = self._accounts()
        readings = {}
        for (key, index), (request_id, answered) in found.items():
            condition, head, account = by_hash[key], prompt_head(prompts[index]), accounts.get(request_id)
            if self.sae is not None:
                n = 0 if condition is None else expected_tokens(condition, tokens[index], self.vlm, head)
                check_account(condition, account, n, len(answered.token_ids), head)
            readings[key, index] = reading(
                answered,
                found[None, index][1],
                condition,
                account,
                settings=settings,
                option_ids=option_ids[index],
                vlm=self.vlm,
                head=head,
            )
        return readings

    def _requests(self, n_prompts: int, keys: Sequence[str | None]) -> Iterator[Asked]:
        """All conditions of a prompt follow each other: it is rendered, and its pictures are encoded, once."""
        for index in range(n_prompts):
            for key in keys:
                self._request_id += 1
                yield Asked(self._request_id, index, key)

    def _accounts(self) -> dict[int, Account]:
        """What the workers edited since the last time; they must agree."""
        if self.sae is None:
            return {}
        first, *others = (dict(report) for report in self.llm.collective_rpc(REPORT))
        counts = [{request_id: _counts(account) for request_id, account in one.items()} for one in (first, *others)]
        if any(one != counts[0] for one in counts):
            raise BackendError(
                "vLLM's workers edited different tokens.",
                hint="Use one worker (tensor_parallel_size=1), and report this with the version of vLLM.",
            )
        return first

    def option_ids(self, options: tuple[str, ...]) -> tuple[int, ...]:
        """Token ids of option letters, looked up once."""
        if options not in self._option_ids:
            self._option_ids[options] = option_token_ids(self.vlm, options)
        return self._option_ids[options]


def _counts(account: Account) -> dict[str, Any]:
    return {name: value for name, value in account.items() if name != "shift"}
