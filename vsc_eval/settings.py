"""Settings that several specs share, each declared once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vsc_eval.specs import Spec


class StatisticsSpec(Spec):
    """How intervals and tests are computed."""

    draws: int = Field(default=2_000, ge=100)
    """Of the cluster bootstrap."""
    permutations: int = Field(default=10_000, ge=100)
    """Of the sign-flip test."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the intervals."""
    correction: Literal["holm", "bh"] = "holm"
    """How p are adjusted for the number of tests."""
    seed: int = Field(default=0, ge=0)
    """Of the bootstrap and of the tests, each through a stream of its own."""
