"""Many conditions over many prompts, for little more than the price of one.

A batch of prompts runs through image processor, vision tower and decoder layers 0..L once; only the layers above L run
once for each condition, stacked along the batch. Where a decoder cannot be split, the plain path (forward.py) answers.

Shapes and what they do to numbers: one condition at a time is bit-identical to a plain hooked forward, and on a CPU
also the fastest. In a stack, sums run in another order: about 1e-6 in float32, which changes no answer, but visible in
16-bit formats, as is any other change of batch shape. So the baseline is a row of every stack, and drift never compares
two shapes. Outside float32 shapes are also kept constant: every stack has the same number of conditions (spare rows
repeat the baseline), every batch the same number of prompts (spare rows repeat the last), lengths are rounded up.
Answers then depend as little as possible on how an interrupted run was divided; only the lengths of the neighbours in a
batch remain.
"""

import warnings
from collections.abc import Callable, Sequence

import torch

from vsc_eval.backends.hf.decoder import has_cross_attention, last_key_writing_layer, why_not_split
from vsc_eval.backends.hf.edit_hook import BatchState, RowEdit, row_edit
from vsc_eval.backends.hf.forward import Runner, StackResult, run_hooked
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.memory import condition_bytes, default_budget_bytes, fitting_stack, plan_stacks, useful_stack
from vsc_eval.backends.hf.prompts import (
    BatchInputs,
    Prompt,
    encode_prompts,
    prompt_head,
    similar_batches,
    unlike_prompts,
)
from vsc_eval.backends.hf.scoring import stack_readings
from vsc_eval.backends.hf.selfcheck import disagreement
from vsc_eval.backends.hf.shared import run_stack, shared_prefix
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.backends.registry import Mode
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE

_LENGTH_STEP = 16
DEFAULT_BATCH_SIZE = 16


class EngineWarning(UserWarning):
    """The engine took the slow path, or an edit cannot have an effect."""


class Engine(AnswerEngine):
    """One model of transformers, many conditions."""

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
        constant_shapes: bool | None = None,
    ) -> None:
        """`sae` and `layer` (0-based) are needed for edits only.

        batch_size: prompts a batch. memory_budget_bytes: for the activations of one stack. max_stack: conditions in a
        stack, baseline included, if memory allows; 1 means one at a time (defaults of both: see memory.py). mode:
        `shared` raises where the decoder cannot be split, `auto` warns and takes the plain path, `hooks` always takes
        it. constant_shapes: see the module's docstring; default outside float32.

        Raises as AnswerEngine.
        """
        super().__init__(vlm, sae, layer, batch_size)
        if max_stack is not None and max_stack < 1:
            raise SpecError("max_stack must be at least 1.", hint="Give a positive number.")
        if memory_budget_bytes is not None and memory_budget_bytes < 1:
            raise SpecError(f"A memory budget of {memory_budget_bytes} bytes.", hint="Give a positive number.")
        if sae is not None:
            self.sae = sae.to(vlm.device)
        self.mode: Mode = mode
        self.max_stack = max_stack
        self.memory_budget_bytes = memory_budget_bytes or default_budget_bytes(vlm.model, vlm.device)
        self.constant_shapes = vlm.dtype != torch.float32 if constant_shapes is None else constant_shapes
        self._checked: set[tuple[str, bool]] = set()
        self._fell_back = False
        self.runner = Runner(
            model=vlm.model,
            decoder=vlm.decoder,
            sae=self.sae,
            layer=layer,
            end_ids=vlm.end_token_ids,
            pad_id=int(vlm.tokenizer.pad_token_id),
        )

    def answer(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition],
        settings: GenSettings,
        progress: Callable[[int], None],
    ) -> list[list[Reading]]:
        edits = [row_edit(condition, self.sae) for condition in conditions]
        shared = bool(edits) and self._use_shared(prompts, settings)
        by_prompt: dict[int, Sequence[Reading]] = {}
        for indices in similar_batches(prompts, self.batch_size):
            readings = self._read_batch([prompts[i] for i in indices], edits, settings, shared=shared)
            by_prompt.update(zip(indices, zip(*readings, strict=True), strict=False))
            progress(len(indices))
        return [[by_prompt[index][row] for index in range(len(prompts))] for row in range(1 + len(edits))]

    def _check_edit(self, condition: CompiledCondition) -> None:
        super()._check_edit(condition)
        if condition.spec.edit is None or condition.spec.edit.positions != "image":
            return
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
        if self.mode == "hooks" or self._fell_back:
            return False
        assert self.layer is not None
        reason = why_not_split(self.vlm.model, self.vlm.decoder, self.layer)
        # Checked once for each scoring, with pictures and without: a replay can be right on text, wrong on pictures.
        for pictured in (True, False):
            alike = [prompt for prompt in prompts if bool(prompt.images) == pictured]
            if reason is None and alike and (settings.scoring, pictured) not in self._checked:
                inputs = encode_prompts(self.vlm, unlike_prompts(alike))
                reason = disagreement(self.runner, inputs, generate=settings.scoring == "generate")
                if reason is None:
                    self._checked.add((settings.scoring, pictured))
        if reason is None:
            return True
        message = f"The decoder of '{self.vlm.name}' cannot be shared between conditions: {reason}."
        if self.mode == "shared":
            raise BackendError(message, hint="Use mode `auto` or `hooks`: slower, the same answers.")
        warnings.warn(f"{message} Every condition runs in full: slower, the same answers.", EngineWarning, stacklevel=4)
        self._fell_back = True
        return False

    def _read_batch(
        self, prompts: list[Prompt], edits: Sequence[RowEdit | None], settings: GenSettings, *, shared: bool
    ) -> list[list[Reading]]:
        """Readings [baseline, *edits][prompts], with constant shapes also of the spare rows."""
        step = None
        if self.constant_shapes:
            prompts = prompts + [prompts[-1]] * (self.batch_size - len(prompts))
            step = _LENGTH_STEP
        inputs = encode_prompts(self.vlm, prompts, pad_to_multiple=step)
        option_ids = [self.option_ids(prompt.options) for prompt in prompts]
        heads = [prompt_head(prompt) for prompt in prompts]
        batch, new_tokens = BatchState(inputs.attention_mask, inputs.image_mask), settings.new_tokens
        prefix = shared_prefix(self.runner, inputs.tensors, max_new_tokens=new_tokens) if shared else None

        def run(stack: list[RowEdit | None]) -> StackResult:
            if prefix is None:
                return run_hooked(self.runner, inputs.tensors, batch, stack[0], max_new_tokens=new_tokens)
            return run_stack(self.runner, prefix, batch, stack, max_new_tokens=new_tokens)

        readings: list[list[Reading]] = []
        for stack in self._stacks(inputs, edits, new_tokens) if shared else [[edit] for edit in (None, *edits)]:
            rows = stack_readings(run(stack), option_ids, heads, self.vlm.tokenizer)
            for edit, row in zip(stack, rows, strict=True):
                # Only the first baseline is read: others are what a stack is measured against, or spare rows.
                if edit is not None or not readings:
                    readings.append(row)
        return readings

    def _stacks(
        self, inputs: BatchInputs, edits: Sequence[RowEdit | None], max_new_tokens: int | None
    ) -> list[list[RowEdit | None]]:
        per_condition = condition_bytes(self.vlm.model, inputs.n_items, inputs.n_tokens, max_new_tokens)
        wanted = self.max_stack or useful_stack(self.vlm.device, inputs.n_items * inputs.n_tokens)
        limit = min(wanted, fitting_stack(self.memory_budget_bytes, per_condition))
        n_stacks, size = plan_stacks(len(edits), limit, constant=self.constant_shapes)
        if size == 1:
            return [[edit] for edit in (None, *edits)]
        parts = [edits[number * (size - 1) : (number + 1) * (size - 1)] for number in range(n_stacks)]
        return [[None, *part, *[None] * (size - 1 - len(part))] for part in parts]
