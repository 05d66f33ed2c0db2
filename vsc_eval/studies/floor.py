"""The noise floor: how much answers change where nothing was done to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vsc_eval.records import Record

FLOOR_FILE = "floor.json"
STEM = "second_baseline"
"""Of the files of the second baseline."""
OTHER_BATCHES = "other batches"


class Unchanged(Record):
    """The baseline beside the same computed in another way."""

    name: str
    """`other batches`: of another size and in another order; or the condition of zero strength."""
    n_items: int
    n_changed: int
    """Items whose answer is another one all the same."""
    max_logprob_difference: float
    """Largest change of an option's log-probability, nats."""


class Floor(Record):
    """`floor.json`."""

    rows: tuple[Unchanged, ...]


def unchanged(name: str, baseline: npt.NDArray[np.float64], again: npt.NDArray[np.float64]) -> Unchanged:
    """Compares two tables of option log-probabilities [items, options]."""
    # Two options of probability 0 do not differ, and inf - inf is not a number.
    gap = np.abs(np.subtract(baseline, again, where=baseline != again, out=np.zeros_like(baseline)))
    return Unchanged(
        name=name,
        n_items=len(baseline),
        n_changed=int((baseline.argmax(-1) != again.argmax(-1)).sum()),
        max_logprob_difference=float(gap.max()),
    )
