"""Does the shared path give what plain hooks give, on this model? Asked once, with a strong edit, before any answer."""

from dataclasses import replace

import torch
from torch import Tensor

from vsc_eval.backends.hf.edit_hook import BatchState, RowEdit
from vsc_eval.backends.hf.forward import Runner, StackResult, run_hooked
from vsc_eval.backends.hf.prompts import BatchInputs
from vsc_eval.backends.hf.shared import run_stack, shared_prefix
from vsc_eval.errors import BackendError
from vsc_eval.sae.model import SparseCodes

_PROBE_STRENGTH = 0.5
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
_HALF_TOLERANCE = 0.05


def probe_edit(d_model: int, device: torch.device) -> RowEdit:
    """An edit that no model can miss: half of every token's norm, in a fixed random direction."""
    direction = torch.randn(d_model, generator=torch.Generator().manual_seed(20260315))
    direction = (direction / direction.norm()).to(device)

    def delta(h: Tensor, _codes: SparseCodes | None) -> Tensor:
        added: Tensor = _PROBE_STRENGTH * h.float().norm(dim=-1, keepdim=True) * direction
        return added.to(h.dtype)

    return RowEdit(name="self-check", positions="all", edits_decode=True, delta=delta, needs_codes=False)


def disagreement(runner: Runner, inputs: BatchInputs, *, generate: bool) -> str | None:
    """What differs between the two paths on `inputs`, in words; None if they agree.

    Compares the logits of baseline and probe at the first answer token, one at a time and stacked, and with `generate`
    those after one decode step. Raises BackendError if the probe changes nothing in a plain forward: no edit would.
    """
    max_new_tokens = 2 if generate else None
    probe = probe_edit(runner.decoder.d_model, inputs.attention_mask.device)
    endless = replace(runner, sae=None, end_ids=())
    plain_batch = BatchState(inputs.attention_mask, inputs.image_mask)
    plain = [
        run_hooked(endless, inputs.tensors, plain_batch, edit, max_new_tokens=max_new_tokens) for edit in (None, probe)
    ]
    if torch.equal(plain[0].logits, plain[1].logits):
        raise BackendError(
            f"An edit of half the residual stream's norm at layer {runner.layer} of {type(runner.model).__name__} "
            "changes nothing.",
            hint="Something overwrites what the layer gives (a hook, another engine): load the model plainly.",
        )
    try:
        return _compare_shared(endless, inputs, probe, plain, max_new_tokens)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        # The plain path has just run: what raises here is the replay, on a model that is built in another way.
        return (
            f"replaying it raises {type(error).__name__} ({str(error).splitlines()[0] if str(error) else 'no message'})"
        )


def _compare_shared(
    endless: Runner, inputs: BatchInputs, probe: RowEdit, plain: list[StackResult], max_new_tokens: int | None
) -> str | None:
    batch = BatchState(inputs.attention_mask, inputs.image_mask)
    prefix = shared_prefix(endless, inputs.tensors, max_new_tokens=max_new_tokens)
    for what, edit, expected in zip(("baseline", "probe"), (None, probe), plain, strict=True):
        single = run_stack(endless, prefix, batch, [edit], max_new_tokens=max_new_tokens)
        if difference := _difference(single.logits, expected.logits):
            return f"first-token logits of the {what} differ by {difference}"
        if single.generated is not None and expected.generated is not None:
            difference = _difference(single.generated.final_logits, expected.generated.final_logits)
            if difference:
                return f"logits of the {what} after one decode step differ by {difference}"
    stacked = run_stack(endless, prefix, batch, [None, probe], max_new_tokens=max_new_tokens)
    if difference := _difference(stacked.logits, torch.cat([entry.logits for entry in plain])):
        return f"first-token logits of stacked conditions differ by {difference}"
    return None


def _difference(actual: Tensor, expected: Tensor) -> str:
    """The largest difference, in words, where it is above the dtype's tolerance relative to the largest logit."""
    tolerance = _TOLERANCE.get(expected.dtype, _HALF_TOLERANCE)
    scale = max(1.0, float(expected.float().abs().max()))
    largest = float((actual.float() - expected.float()).abs().max())
    return "" if largest <= tolerance * scale else f"{largest:.2g} (logits up to {scale:.2g})"
