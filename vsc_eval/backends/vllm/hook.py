"""The forward hook on one decoder layer of a vLLM model: every request of a flattened batch gets its own edit.

vLLM's decoder layers hand on (hidden, residual); the residual stream is their sum, and what is added to one half is
added to the stream. Requests of all conditions and of none are mixed in a batch; the SAE codes of all edited tokens are
computed in one product.

vLLM runs a prompt in one piece or in chunks, alone or flattened together with others, and may run it again after a
preemption. So a token is known by its position in its own request: prompt tokens first, generated ones after them. What
was edited of each request is noted token by token, so that an edit that did not happen cannot go unnoticed.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsc_eval.backends.hf.edit_hook import Positions, edits_decode, relative_norm
from vsc_eval.interventions.edits import CompiledCondition, edit_delta, position_mask
from vsc_eval.sae.model import SAE, SparseCodes


@dataclass(frozen=True)
class Slice:
    """Part of one request in one forward."""

    request_id: int
    """Names the request: the number that the asking side gave it."""
    row: int
    """First row of the flattened batch that is its own."""
    start: int
    """Position in the request of that row's token."""
    length: int
    """Rows."""


def edited_prompt(positions: Positions, is_image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Edited prompt tokens [prompt length]; `is_image` [prompt length] is true on image tokens."""
    image = torch.from_numpy(is_image)[None]
    found: NDArray[np.bool_] = position_mask(positions, torch.ones_like(image), image)[0].numpy()
    return found


def edited_offsets(piece: Slice, prompt: NDArray[np.bool_], *, decode: bool) -> NDArray[np.int64]:
    """Offsets within `piece` of the tokens that are edited, ascending.

    `prompt` is what `edited_prompt` gave; generated tokens are edited if `decode`.
    """
    inside = prompt[piece.start : piece.start + piece.length]
    generated = np.full(piece.length - len(inside), decode)
    return np.flatnonzero(np.concatenate([inside, generated]))


class Account(TypedDict):
    """What was edited of one request."""

    condition: str
    """Content hash; empty for the baseline."""
    prompt_tokens: int
    """Different prompt tokens edited."""
    decode_tokens: int
    """Different generated tokens edited."""
    passes: int
    """Forwards in which the request had a token at the edited layer."""
    shift: float | None
    """Mean ||h' - h|| / ||h|| over its edited prompt tokens; None without any."""


@dataclass
class Entry:
    """One request in the audit log. A token that runs again, after a preemption, is counted once."""

    condition: str
    edited_prompt: NDArray[np.bool_] | None
    """Prompt tokens to edit; None for the baseline."""
    n_prompt: int
    passes: int = 0
    decoded: set[int] = field(default_factory=set)
    done: NDArray[np.bool_] = field(init=False)
    shifts: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.done = np.zeros(self.n_prompt, dtype=bool)
        self.shifts = np.zeros(self.n_prompt, dtype=np.float32)

    def note(self, positions: NDArray[np.int64], shifts: NDArray[np.float32]) -> None:
        """The tokens at `positions`, ascending, were edited, by `shifts` of their norm."""
        n_inside = int(np.searchsorted(positions, self.n_prompt))
        inside = positions[:n_inside]
        self.done[inside] = True
        self.shifts[inside] = shifts[:n_inside]
        self.decoded.update(positions[n_inside:].tolist())

    def account(self) -> Account:
        n_edited = int(self.done.sum())
        return {
            "condition": self.condition,
            "prompt_tokens": n_edited,
            "decode_tokens": len(self.decoded),
            "passes": self.passes,
            "shift": float(self.shifts[self.done].mean()) if n_edited else None,
        }


_Tokens = tuple[Entry, NDArray[np.int64], NDArray[np.int64]]
"""Edited tokens of a request: their positions in it, and their rows of the batch."""


@dataclass
class BatchEdit:
    """What the hook needs; `slices` tells the batch that is running, nothing outside of one."""

    sae: SAE
    slices: Callable[[], Sequence[Slice]]
    conditions: dict[str, CompiledCondition] = field(default_factory=dict)
    """By content hash."""
    audit_log: dict[int, Entry] = field(default_factory=dict)
    """By request_id."""

    def accounts(self) -> dict[int, Account]:
        """The accounts of all requests, which are then forgotten."""
        found = {request_id: entry.account() for request_id, entry in self.audit_log.items()}
        self.audit_log.clear()
        return found

    def __call__(self, _module: Any, _args: Any, output: Any) -> Any:
        edited: dict[str, list[_Tokens]] = defaultdict(list)
        for piece in self.slices():
            entry = self.audit_log[piece.request_id]
            entry.passes += 1
            if entry.edited_prompt is None:
                continue
            decode = edits_decode(self.conditions[entry.condition])
            offsets = edited_offsets(piece, entry.edited_prompt, decode=decode)
            if len(offsets):
                edited[entry.condition].append((entry, offsets + piece.start, offsets + piece.row))
        return self._edited(output, edited) if edited else None

    @torch.no_grad()
    def _edited(self, output: Any, edited: Mapping[str, list[_Tokens]]) -> Any:
        """`output` with the edit of each condition at its tokens."""
        hidden, stream = residual_stream(output)
        flat = list(itertools.chain.from_iterable(edited.values()))
        rows = torch.from_numpy(np.concatenate([own for _, _, own in flat])).to(hidden.device)
        before = stream(rows)
        codes = self.sae.encode_sparse(before)
        deltas = torch.empty_like(before)
        start = 0
        for name, found in edited.items():
            part = slice(start, start + sum(len(own) for _, _, own in found))
            chosen = SparseCodes(codes.indices[part], codes.values[part])
            deltas[part] = edit_delta(self.conditions[name], before[part], chosen, self.sae)
            start = part.stop
        changed = hidden.clone()
        changed[rows] += deltas
        shifts = relative_norm(deltas, before).cpu().numpy()
        for entry, positions, _ in flat:
            entry.note(positions, shifts[: len(positions)])
            shifts = shifts[len(positions) :]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed


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
