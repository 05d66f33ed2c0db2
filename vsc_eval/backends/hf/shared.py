"""The shared path: layers 0..L once a batch, the layers above L once for each stack of conditions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vsc_eval.backends.hf.decode import Prefilled
from vsc_eval.backends.hf.edit_hook import BatchState, EditHook, RowEdit
from vsc_eval.backends.hf.head import apply_head
from vsc_eval.backends.hf.patching import expand_argument, repeat_rows
from vsc_eval.backends.hf.prefix import Prefix, run_prefix
from vsc_eval.backends.hf.run import Runner, StackResult
from vsc_eval.backends.hf.suffix import replay


def shared_prefix(runner: Runner, inputs: dict[str, Tensor], *, max_new_tokens: int | None) -> Prefix:
    """Layers 0..L of a batch."""
    assert runner.layer is not None
    return run_prefix(runner.model, runner.decoder, runner.layer, inputs, keep_cache=max_new_tokens is not None)


def run_stack(
    runner: Runner,
    prefix: Prefix,
    batch: BatchState,
    edits: Sequence[RowEdit | None],
    *,
    max_new_tokens: int | None,
) -> StackResult:
    """A stack of conditions over one batch, from its prefix. The first is the baseline (None), or the baseline has run
    on its own before: `batch` keeps its last hidden state and its logits."""
    assert runner.layer is not None
    n_conditions = len(edits)
    hook = EditHook(edits, batch, runner.sae)
    with hook.attached(runner.decoder, runner.layer):
        suffix = replay(runner.model, runner.decoder, prefix, n_conditions)
        logits = apply_head(runner.model, runner.decoder, suffix.last_hidden, suffix.output_type, runner.pad_id)
        position_ids = prefix.position_ids
        if position_ids is not None:
            position_ids = expand_argument("position_ids", position_ids, prefix.n_items, n_conditions)
        start = Prefilled(
            logits=logits,
            cache=suffix.cache,
            attention_mask=repeat_rows(batch.attention_mask, n_conditions),
            position_ids=position_ids,
        )
        result = runner.finish(hook, start, max_new_tokens)
    if edits[0] is None:
        batch.baseline_logits = logits[: batch.n_items]
    return result
