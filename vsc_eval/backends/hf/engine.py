"""Many conditions over many prompts, for little more than the price of one.

A batch of prompts runs through image processor, vision tower and decoder layers 0..L once; only the layers above L run
once for each condition, stacked along the batch. Where a decoder cannot be split, the plain path (hooks.py) answers.

Shapes and what they do to numbers: one condition at a time is bit-identical to a plain hooked forward, and on a CPU
also the fastest. In a stack, sums run in another order: about 1e-6 in float32, which changes no answer, but visible in
16-bit formats, as is any other change of batch shape. So the baseline is a row of every stack, and drift never compares
two shapes. Outside float32 shapes are also kept constant: every stack has the same number of conditions (spare rows
repeat the baseline), every batch the same number of prompts (spare rows repeat the last), lengths are rounded up.
Answers then depend as little as possible on how an interrupted run was divided; only the lengths of the neighbours in a
batch remain.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from vsc_eval.backends.hf.batching import similar_batches, unlike_prompts
from vsc_eval.backends.hf.decoder import has_cross_attention, last_key_writing_layer, why_not_split
from vsc_eval.backends.hf.edit_hook import BatchState, RowEdit, row_edit
from vsc_eval.backends.hf.hooks import run_hooked
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.memory import condition_bytes, default_budget_bytes, fitting_stack, plan_stacks, useful_stack
from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts, option_token_ids, prompt_head
from vsc_eval.backends.hf.run import Runner, StackResult
from vsc_eval.backends.hf.scoring import stack_readings
from vsc_eval.backends.hf.selfcheck import disagreement
from vsc_eval.backends.hf.shared import run_stack, shared_prefix
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE, check_width

Mode = Literal["auto", "shared", "hooks"]
_LENGTH_STEP = 16
DEFAULT_BATCH_SIZE = 16


class EngineWarning(UserWarning):
    """The engine took the slow path, or an edit cannot have an effect."""


@dataclass(frozen=True)
class GenSettings:
    """What is read from the model."""

    scoring: Literal["loglikelihood", "generate"]
    """`loglikelihood`: log-probabilities of the option letters after one forward; `generate`: greedy text as well."""
    max_new_tokens: int = 8

    def __post_init__(self) -> None:
        if self.scoring == "generate" and self.max_new_tokens < 1:
            raise SpecError(f"max_new_tokens is {self.max_new_tokens}.", hint="Give at least 1.")

    @property
    def new_tokens(self) -> int | None:
        """None for a scoring that generates nothing."""
        return self.max_new_tokens if self.scoring == "generate" else None


class Engine:
    """One model, many conditions."""

    def __init__(
        self,
        vlm: LoadedVLM,
        *,
        sae: SAE | None = None,
        layer: int | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        memory_budget_bytes: int | None = None,
        max_stack: int | None = None,
        mode: Mode = "auto",
        self_check: bool = True,
        constant_shapes: bool | None = None,
    ) -> None:
        """`sae` and `layer` (0-based) are needed for edits only.

        batch_size: prompts a batch. memory_budget_bytes: for the activations of one stack. max_stack: conditions in a
        stack, baseline included, if memory allows; 1 means one at a time (defaults of both: see memory.py). mode:
        `shared` raises where the decoder cannot be split, `auto` warns and takes the plain path, `hooks` always takes
        it. constant_shapes: see the module's docstring; default outside float32.

        Raises SpecError for a layer the model lacks or an option out of range, DataError for an SAE of another width,
        BackendError for an encoder-decoder.
        """
        if batch_size < 1 or (max_stack is not None and max_stack < 1):
            raise SpecError("batch_size and max_stack must be at least 1.", hint="Give a positive number.")
        if memory_budget_bytes is not None and memory_budget_bytes < 1:
            raise SpecError(f"A memory budget of {memory_budget_bytes} bytes.", hint="Give a positive number.")
        if (sae is None) != (layer is None):
            raise SpecError("An SAE and a layer go together.", hint="Give both, or neither for the baseline alone.")
        self.vlm = vlm
        self.layer = layer
        self.batch_size = batch_size
        self.mode: Mode = mode
        if layer is not None:
            vlm.decoder.check_layer(layer)
        if sae is not None:
            check_width(sae.cfg, vlm.decoder.d_model)
            sae = sae.to(vlm.device)
        self.sae = sae
        self.max_stack = max_stack
        self.memory_budget_bytes = memory_budget_bytes or default_budget_bytes(vlm.model, vlm.device)
        self.constant_shapes = vlm.dtype != torch.float32 if constant_shapes is None else constant_shapes
        self._self_check = self_check
        self._checked: set[tuple[str, bool]] = set()
        self._fell_back = False
        self._option_ids: dict[tuple[str, ...], tuple[int, ...]] = {(): ()}
        self.runner = Runner(
            model=vlm.model,
            decoder=vlm.decoder,
            sae=sae,
            layer=layer,
            end_ids=vlm.end_token_ids,
            pad_id=int(vlm.tokenizer.pad_token_id),
        )

    @property
    def answer_mark(self) -> str:
        """Answers of this engine need no mark in the store's keys; see AnswerEngine."""
        return ""

    def read(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition | None],
        settings: GenSettings,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Reading]]:
        """Readings [conditions][prompts], in the order given; None is the baseline, which runs in any case.

        Conditions of equal content run once. `progress` is called after every batch with its number of prompts.
        Raises SpecError for a condition of another layer, for edits of tokens that a prompt lacks and for the
        `loglikelihood` scoring of a prompt without options, BackendError where the model cannot do what is asked.
        """
        self._check_request(prompts, conditions, settings)
        edits: dict[str, RowEdit] = {}
        keys: list[str | None] = []
        for condition in conditions:
            edit = row_edit(condition, self.sae)
            keys.append(condition.content_hash if condition is not None and edit is not None else None)
            if condition is not None and edit is not None:
                edits.setdefault(condition.content_hash, edit)
        shared = bool(edits) and self._use_shared(prompts, settings)
        table: list[list[Reading | None]] = [[None] * len(prompts) for _ in conditions]
        for indices in similar_batches(prompts, self.batch_size):
            readings = self._read_batch([prompts[i] for i in indices], list(edits.values()), settings, shared=shared)
            by_key = dict(zip([None, *edits], readings, strict=True))
            for row, key in zip(table, keys, strict=True):
                for index, reading in zip(indices, by_key[key], strict=False):
                    row[index] = reading
            if progress is not None:
                progress(len(indices))
        return [[reading for reading in row if reading is not None] for row in table]

    def _check_request(
        self, prompts: Sequence[Prompt], conditions: Sequence[CompiledCondition | None], settings: GenSettings
    ) -> None:
        if settings.scoring == "loglikelihood":
            for prompt in prompts:
                if not prompt.options:
                    raise SpecError(
                        f"The prompt '{prompt_head(prompt)}' has no options to choose from.",
                        hint="Use the `generate` scoring for it.",
                    )
        for condition in conditions:
            if condition is None or condition.is_baseline:
                continue
            if condition.layer != self.layer:
                raise SpecError(
                    f"Condition '{condition.name}' edits layer {condition.layer}; the engine edits layer {self.layer}.",
                    hint="Use conditions of one intervention with its own SAE and layer.",
                )
            assert condition.spec.edit is not None
            if condition.spec.edit.positions == "image":
                self._check_image_edit(condition)

    def _check_image_edit(self, condition: CompiledCondition) -> None:
        if has_cross_attention(self.vlm.model):
            raise BackendError(
                f"Condition '{condition.name}' edits image tokens, but '{self.vlm.name}' has none in its residual "
                "stream: the picture enters by cross-attention.",
                hint="Use positions text, last or all.",
            )
        last = last_key_writing_layer(self.vlm.model)
        if condition.layer >= last:
            warnings.warn(
                f"Condition '{condition.name}' edits image tokens at layer {condition.layer}, but no layer "
                f"above {last} of '{self.vlm.name}' reads them again: no answer can change.",
                EngineWarning,
                stacklevel=4,
            )

    def _use_shared(self, prompts: Sequence[Prompt], settings: GenSettings) -> bool:
        """Whether the shared path may be taken; in mode `auto` a reason against it is shown as a warning, once."""
        if self.mode == "hooks" or self._fell_back or not prompts:
            return False
        assert self.layer is not None
        reason = why_not_split(self.vlm.model, self.vlm.decoder, self.layer)
        if reason is None and self._self_check:
            reason = self._disagreement(prompts, settings)
        if reason is None:
            return True
        message = f"The decoder of '{self.vlm.name}' cannot be shared between conditions: {reason}."
        if self.mode == "shared":
            raise BackendError(message, hint="Use mode `auto` or `hooks`: slower, the same answers.")
        warnings.warn(f"{message} Every condition runs in full: slower, the same answers.", EngineWarning, stacklevel=3)
        self._fell_back = True
        return False

    def _disagreement(self, prompts: Sequence[Prompt], settings: GenSettings) -> str | None:
        """What the self-check finds on some of `prompts`, in words; None if nothing.

        Once for each scoring, with pictures and without: a replay can be right on text and wrong on pictures.
        """
        for pictured in (True, False):
            alike = [prompt for prompt in prompts if bool(prompt.images) == pictured]
            if not alike or (settings.scoring, pictured) in self._checked:
                continue
            inputs = encode_prompts(self.vlm, unlike_prompts(alike))
            reason = disagreement(self.runner, inputs, generate=settings.scoring == "generate")
            if reason is not None:
                return reason
            self._checked.add((settings.scoring, pictured))
        return None

    def _read_batch(
        self, prompts: list[Prompt], edits: list[RowEdit], settings: GenSettings, *, shared: bool
    ) -> list[list[Reading]]:
        """Readings [baseline, *edits][prompts], with constant shapes also of the spare rows."""
        step = None
        if self.constant_shapes:
            prompts = prompts + [prompts[-1]] * (self.batch_size - len(prompts))
            step = _LENGTH_STEP
        inputs = encode_prompts(self.vlm, prompts, pad_to_multiple=step)
        option_ids = [self.option_ids(prompt.options) for prompt in prompts]
        heads = [prompt_head(prompt) for prompt in prompts]

        def read(result: StackResult) -> list[list[Reading]]:
            return stack_readings(result, option_ids, heads, self.vlm.tokenizer)

        run = self._run_shared if shared else self._run_plain
        return run(inputs, edits, settings, read)

    def _run_plain(
        self,
        inputs: BatchInputs,
        edits: list[RowEdit],
        settings: GenSettings,
        read: Callable[[StackResult], list[list[Reading]]],
    ) -> list[list[Reading]]:
        batch = BatchState(inputs.attention_mask, inputs.image_mask)
        return [
            read(run_hooked(self.runner, inputs.tensors, batch, edit, max_new_tokens=settings.new_tokens))[0]
            for edit in (None, *edits)
        ]

    def _run_shared(
        self,
        inputs: BatchInputs,
        edits: list[RowEdit],
        settings: GenSettings,
        read: Callable[[StackResult], list[list[Reading]]],
    ) -> list[list[Reading]]:
        batch = BatchState(inputs.attention_mask, inputs.image_mask)
        n_stacks, size = self._plan(inputs, len(edits), settings)
        prefix = shared_prefix(self.runner, inputs.tensors, max_new_tokens=settings.new_tokens)

        def run(stack: Sequence[RowEdit | None]) -> list[list[Reading]]:
            return read(run_stack(self.runner, prefix, batch, stack, max_new_tokens=settings.new_tokens))

        if size == 1:
            return [run([edit])[0] for edit in (None, *edits)]
        readings: list[list[Reading]] = []
        for start in range(0, n_stacks * (size - 1), size - 1):
            chosen = edits[start : start + size - 1]
            spare = [None] * (size - 1 - len(chosen))
            stack = run([None, *chosen, *spare])
            readings.extend(stack[: 1 + len(chosen)] if start == 0 else stack[1 : 1 + len(chosen)])
        return readings

    def _plan(self, inputs: BatchInputs, n_edits: int, settings: GenSettings) -> tuple[int, int]:
        per_condition = condition_bytes(self.vlm.model, inputs.n_items, inputs.n_tokens, settings.new_tokens)
        wanted = self.max_stack or useful_stack(self.vlm.device, inputs.n_items * inputs.n_tokens)
        limit = min(wanted, fitting_stack(self.memory_budget_bytes, per_condition))
        return plan_stacks(n_edits, limit, constant=self.constant_shapes)

    def option_ids(self, options: tuple[str, ...]) -> tuple[int, ...]:
        """Token ids of option letters, looked up once."""
        if options not in self._option_ids:
            self._option_ids[options] = option_token_ids(self.vlm, options)
        return self._option_ids[options]
