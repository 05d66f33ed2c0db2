"""Synthetic activations with known directions, and how well an SAE found them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vsc_eval.sae.train import TokenStream


def restartable(factory: Callable[[], Iterator[Tensor]]) -> TokenStream:
    """A stream over `factory`, which must yield the same tokens at every call; skipped ones are drawn and dropped."""

    def open_at(skip: int) -> Iterator[Tensor]:
        for chunk in factory():
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            yield chunk[skip:]
            skip = 0

    return open_at


@dataclass(frozen=True)
class Planted:
    """Sparse non-negative combinations of `directions` [n_true, d] plus noise and a constant offset."""

    directions: Tensor
    offset: Tensor
    n_tokens: int
    mean_active: float
    noise: float = 0.05
    seed: int = 12345
    chunk: int = 4096

    def chunks(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        n_true, d = self.directions.shape
        for start in range(0, self.n_tokens, self.chunk):
            n = min(self.chunk, self.n_tokens - start)
            active = torch.rand(n, n_true, generator=generator) < self.mean_active / n_true
            strength = 0.5 + torch.rand(n, n_true, generator=generator)
            noise = self.noise * torch.randn(n, d, generator=generator)
            yield (active * strength) @ self.directions + noise + self.offset

    def stream(self) -> TokenStream:
        return restartable(self.chunks)


def planted(n_true: int, d: int, n_tokens: int, *, mean_active: float = 8.0, massive: float = 0.0) -> Planted:
    generator = torch.Generator().manual_seed(987654)
    directions = torch.nn.functional.normalize(torch.randn(n_true, d, generator=generator), dim=1)
    offset = torch.zeros(d)
    offset[:2] = massive
    return Planted(directions, offset, n_tokens, mean_active)


def best_cosines(directions: Tensor, W_dec: Tensor) -> Tensor:
    """[n_true]: each true direction's largest cosine to a decoder row; its mean is the MMCS."""
    return (torch.nn.functional.normalize(directions, dim=1) @ torch.nn.functional.normalize(W_dec, dim=1).T).amax(1)
