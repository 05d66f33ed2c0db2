"""Random streams that depend on their name only.

A stream is named by what it is for (generator version, split, task, level, orbit, attempt) and keyed by the sha256 of
that name, so no two orbits share draws; `seed + i` would make one seed replay another one shifted. Only the raw
words of numpy's Philox are used: numpy keeps those stable across versions, but not the methods of `Generator`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 128


class Stream:
    """Integer draws from Philox-4x64, keyed by the sha256 of `name`."""

    def __init__(self, *name: str | int) -> None:
        digest = hashlib.sha256("\x1f".join(map(str, name)).encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        self._words: list[int] = []

    def below(self, n: int) -> int:
        """Uniform in 0 .. n-1 (bias below n / 2**32)."""
        if not self._words:
            self._words = self._bits.random_raw(_BLOCK).tolist()
        return ((self._words.pop() >> 32) * n) >> 32

    def between(self, low: int, high: int) -> int:
        """Uniform in low .. high, both included."""
        assert low <= high, (low, high)
        return low + self.below(high - low + 1)

    def even(self, low: int, high: int) -> int:
        """Uniform over the even numbers in low .. high."""
        return 2 * self.between((low + 1) // 2, high // 2)

    def pick(self, values: Sequence[T]) -> T:
        """One of `values`."""
        return values[self.below(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """A uniformly random order of `values` (Fisher-Yates)."""
        out = list(values)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out

    def sample(self, values: Sequence[T], n: int) -> list[T]:
        """`n` different entries of `values`, in random order."""
        return self.shuffled(values)[:n]
