"""The optimiser pair of the trainer: Muon for hidden matrices, AdamW for the rest, saved without pickles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.config import StageSpec

# Not hidden matrices, although two-dimensional: lookup tables, the read-out, and the raw pixel projection.
_ADAM_MATRICES = ("embed_tokens", "lm_head", "pos_embed", "patch_embed", "heads.")


class TwoOptimizers:
    """Muon (momentum orthogonalised by Newton-Schulz) on hidden matrices and AdamW on all other parameters."""

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], stage: StageSpec) -> None:
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in named:
            is_hidden = parameter.ndim == 2 and not any(part in name for part in _ADAM_MATRICES)
            groups.setdefault((is_hidden, ".visual." in name), []).append(parameter)

        def of(is_hidden: bool) -> list[dict[str, Any]]:
            factors = {True: stage.vision_lr_factor, False: 1.0}
            return [{"params": groups[is_hidden, visual], "factor": factors[visual]} for visual in (False, True)]

        self._stage = stage
        self._muon = torch.optim.Muon(of(True), lr=stage.muon_lr, weight_decay=0.01, momentum=0.95, nesterov=True)
        self._adam = torch.optim.AdamW(of(False), lr=stage.adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
        self._parameters = [parameter for group in groups.values() for parameter in group]

    def step(self, lr_factor: float, *, clip: float = 1.0) -> float:
        """One update at `lr_factor` times the stage's rates; returns the gradient norm before clipping."""
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, clip))
        for optimizer, rate in ((self._muon, self._stage.muon_lr), (self._adam, self._stage.adam_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate * lr_factor * group["factor"]
            optimizer.step()  # type: ignore[no-untyped-call]
            optimizer.zero_grad(set_to_none=True)
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """All state as flat tensors, for a safetensors file."""
        out: dict[str, Tensor] = {}
        for label, optimizer in (("muon", self._muon), ("adam", self._adam)):
            for index, state in optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    out[f"{label}.{index}.{key}"] = torch.as_tensor(value).contiguous()
        return out

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave; entries under other names are ignored."""
        for label, optimizer in (("muon", self._muon), ("adam", self._adam)):
            whole: dict[str, Any] = optimizer.state_dict()
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                owner, _, rest = name.partition(".")
                if owner == label:
                    index, _, key = rest.partition(".")
                    state.setdefault(int(index), {})[key] = value
            whole["state"] = state
            optimizer.load_state_dict(whole)


def lr_factor(step: int, stage: StageSpec) -> float:
    """Warm up linearly, stay, then fall linearly to `final_lr_fraction` at the stage's last step."""
    warm = min(1.0, (step + 1) / stage.warmup_steps)
    begin = stage.steps * (1 - stage.cooldown_fraction)
    if step <= begin:
        return warm
    done = (step - begin) / max(1.0, stage.steps - begin)
    return warm * (1 - done * (1 - stage.final_lr_fraction))
