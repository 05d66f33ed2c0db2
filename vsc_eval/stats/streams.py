"""Random streams by name: a figure then does not depend on the order in which figures are computed."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each (seed, names); names are kept apart, so ("ab",) and ("a", "b") differ."""
    text = "\x1f".join([str(seed), *names])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))
