"""Which tokens of a scheduled slice are edited: pure arithmetic on positions, the same rule as on the other engine.

vLLM runs a prompt in one piece or in chunks, alone or flattened together with others, and may run it again after a
preemption. So a token is known by its position in its own request: prompt tokens first, generated ones after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vsc_eval.interventions.edits import position_mask

Positions = Literal["image", "text", "last", "all"]


@dataclass(frozen=True)
class Slice:
    """Part of one request in one forward."""

    request_id: int
    """Names the request; see audit_log.py."""
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
