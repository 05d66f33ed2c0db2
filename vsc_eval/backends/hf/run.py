"""What both engine paths share: the model at hand, and the end of a run (decode, count, check)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn

from vsc_eval.backends.hf.decode import Generated, Prefilled, greedy
from vsc_eval.backends.hf.decoder import TextDecoder
from vsc_eval.backends.hf.edit_hook import EditHook
from vsc_eval.errors import BackendError
from vsc_eval.sae.model import SAE


@dataclass(frozen=True)
class StackResult:
    """One stack of conditions over one batch; rows are condition-major."""

    hook: EditHook
    logits: Tensor
    """Of the first answer token, [C * B, vocabulary]."""
    generated: Generated | None


@dataclass(frozen=True)
class Runner:
    """A model with its decoder, the SAE and the edited layer."""

    model: nn.Module
    decoder: TextDecoder
    sae: SAE | None
    layer: int | None
    """None if there are no edits."""
    end_ids: Collection[int]
    pad_id: int

    def finish(self, hook: EditHook, start: Prefilled, max_new_tokens: int | None) -> StackResult:
        """Decode if tokens are wanted, then check the number of rows and how often the edit fired.

        Raises BackendError if a forward went past the hook at the edited layer.
        """
        rows = len(hook.edits) * hook.batch.n_items
        assert start.logits.shape[0] == rows, f"{start.logits.shape[0]} rows for {rows} condition-item pairs"
        generated = None
        if max_new_tokens is not None:
            generated = greedy(
                self.model, start, end_ids=self.end_ids, pad_id=self.pad_id, max_new_tokens=max_new_tokens
            )
        expected = 1 + (generated.n_steps if generated is not None else 0)
        if self.layer is not None and hook.fires != expected:
            raise BackendError(
                f"The edit at layer {self.layer} of {type(self.model).__name__} fired {hook.fires} times in {expected} "
                "forwards.",
                hint="Something bypasses the decoder layers (compiled code, another engine): load the model plainly.",
            )
        return StackResult(hook=hook, logits=start.logits, generated=generated)
