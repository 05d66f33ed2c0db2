"""Random generators from names: streams that cannot coincide by an unlucky choice of seeds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derived_seed(*parts: str | int) -> int:
    """A 63-bit seed from the sha256 of the parts. Purposes with different names never share a stream."""
    digest = hashlib.sha256("/".join(map(str, ("vsc-eval", *parts))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def torch_generator(*parts: str | int) -> torch.Generator:
    """A CPU generator seeded by `derived_seed(*parts)`."""
    import torch

    return torch.Generator().manual_seed(derived_seed(*parts))
