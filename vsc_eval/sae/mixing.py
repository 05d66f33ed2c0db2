"""A shuffle buffer over a stream of activation tensors, whose state can be saved and restored exactly."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

TokenStream = Callable[[int], Iterator[Tensor]]
"""Opens a stream of float tensors [n, d], any n, with the given number of tokens already left out at its start."""


class MixBuffer:
    """Draws shuffled batches from a stream, so that the tokens of one image do not share a batch.

    Holds `capacity` tokens; each refill shuffles them and gives the first half away in batches.
    """

    def __init__(self, stream: TokenStream, *, capacity: int, batch_size: int, generator: torch.Generator) -> None:
        assert capacity >= 2 * batch_size, (capacity, batch_size)
        self.batch_size = batch_size
        self.capacity = capacity
        self.generator = generator
        self.n_taken = 0
        """Tokens drawn from the stream so far, buffer included."""
        self.tokens = torch.empty(0, 0)
        """Float32 [n, d], shuffled; the next batch starts at `cursor`."""
        self.cursor = 0
        self._stream = stream
        self._chunks: Iterator[Tensor] | None = None

    def restore(self, tokens: Tensor, n_taken: int) -> None:
        """Continue with `tokens` in the buffer: the stream is opened behind the `n_taken` already taken."""
        self.tokens, self.cursor, self.n_taken, self._chunks = tokens, 0, n_taken, None

    def next_batch(self) -> Tensor | None:
        """Float32 [batch_size, d], or None once stream and buffer are spent (a last partial batch is dropped)."""
        if len(self.tokens) - self.cursor - self.batch_size < self.capacity // 2:
            self._refill()
        if len(self.tokens) - self.cursor < self.batch_size:
            return None
        batch = self.tokens[self.cursor : self.cursor + self.batch_size]
        self.cursor += self.batch_size
        return batch

    def peek(self) -> Tensor:
        """Float32 [n, d], what the buffer holds after its first fill; for estimates of mean and scale."""
        if not len(self.tokens):
            self._refill()
        return self.tokens[self.cursor :]

    def _refill(self) -> None:
        if self._chunks is None:
            self._chunks = self._stream(self.n_taken)
        held = [self.tokens[self.cursor :]] if len(self.tokens) else []
        n_held, n_before = sum(map(len, held)), self.n_taken
        while n_held < self.capacity and (chunk := next(self._chunks, None)) is not None:
            held.append(chunk.detach().to("cpu", torch.float32))
            n_held += len(chunk)
            self.n_taken += len(chunk)
        if self.n_taken > n_before:
            merged = torch.cat(held)
            self.tokens = merged[torch.randperm(len(merged), generator=self.generator)]
            self.cursor = 0
