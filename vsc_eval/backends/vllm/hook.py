"""The forward hook on one decoder layer of a vLLM model: every request of a flattened batch gets its own edit.

vLLM's decoder layers hand on (hidden, residual); the residual stream is their sum, and what is added to one half is
added to the stream. Requests of all conditions and of none are mixed in a batch; the SAE codes of all edited tokens are
computed in one product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsc_eval.backends.vllm.audit import AuditLog, Entry
from vsc_eval.backends.vllm.positions import Slice, edited_offsets
from vsc_eval.interventions.edits import CompiledCondition, edit_delta
from vsc_eval.sae.model import SAE, SparseCodes


@dataclass
class BatchEdit:
    """What the hook needs; `slices` tells the batch that is running, None outside of one."""

    sae: SAE
    conditions: dict[str, CompiledCondition]
    """By content hash."""
    audit_log: AuditLog
    slices: Callable[[], Sequence[Slice] | None]

    def __call__(self, _module: Any, _args: Any, output: Any) -> Any:
        pieces = self.slices()
        if pieces is None:
            return None
        by_condition: dict[str, list[tuple[Entry, NDArray[np.int64], int]]] = {}
        for piece in pieces:
            entry = self.audit_log.entries[piece.request_id]
            entry.passes += 1
            if entry.edited_prompt is None:
                continue
            offsets = edited_offsets(piece, entry.edited_prompt, decode=self._edits_decode(entry.condition))
            if len(offsets):
                by_condition.setdefault(entry.condition, []).append(
                    (entry, offsets + piece.start, piece.row - piece.start)
                )
        return self._edited(output, by_condition) if by_condition else None

    def _edits_decode(self, condition: str) -> bool:
        edit = self.conditions[condition].spec.edit
        assert edit is not None
        # Generated tokens are text.
        return edit.decode and edit.positions != "image"

    @torch.no_grad()
    def _edited(self, output: Any, by_condition: Mapping[str, list[tuple[Entry, NDArray[np.int64], int]]]) -> Any:
        hidden, stream = residual_stream(output)
        rows_of = {
            name: np.concatenate([positions + shift for _, positions, shift in found])
            for name, found in by_condition.items()
        }
        rows = torch.from_numpy(np.concatenate(list(rows_of.values()))).to(hidden.device)
        before = stream(rows)
        codes = self.sae.encode_sparse(before)
        deltas = torch.empty_like(before)
        start = 0
        for name, own in rows_of.items():
            part = slice(start, start + len(own))
            chosen = SparseCodes(codes.indices[part], codes.values[part])
            deltas[part] = edit_delta(self.conditions[name], before[part], chosen, self.sae)
            start += len(own)
        changed = hidden.clone()
        changed[rows] += deltas
        self._note(by_condition, _relative_norm(deltas, before))
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    @staticmethod
    def _note(
        by_condition: Mapping[str, list[tuple[Entry, NDArray[np.int64], int]]], shifts: NDArray[np.float32]
    ) -> None:
        start = 0
        for found in by_condition.values():
            for entry, positions, _ in found:
                entry.note(positions, shifts[start : start + len(positions)])
                start += len(positions)


def residual_stream(output: Any) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """(hidden [tokens, d], what gives the residual stream of some rows) of a decoder layer's output.

    Raises TypeError for an output of another form.
    """
    if isinstance(output, Tensor) and output.ndim == 2:
        return output, lambda rows: output[rows]
    if isinstance(output, tuple) and len(output) >= 2 and all(isinstance(part, Tensor) for part in output[:2]):
        hidden, residual = output[0], output[1]
        if hidden.ndim == 2 and hidden.shape == residual.shape:
            # In 16 bits the sum is rounded once, as in the fused norm of the next layer.
            return hidden, lambda rows: (hidden[rows].float() + residual[rows].float()).to(hidden.dtype)
    raise TypeError(f"a decoder layer gave {type(output).__name__}, neither a tensor nor (hidden, residual)")


def _relative_norm(delta: Tensor, before: Tensor) -> NDArray[np.float32]:
    """||delta|| / ||before|| of each row, [n, d] -> [n]."""
    tiny = torch.finfo(torch.float32).tiny
    ratio = delta.float().norm(dim=-1) / before.float().norm(dim=-1).clamp_min(tiny)
    found: NDArray[np.float32] = ratio.cpu().numpy()
    return found
