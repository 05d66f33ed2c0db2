"""How far a distribution over the answer options moved: KL divergence, in nats."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from vsc_eval.stats.bootstrap import Floats


def kl_options(baseline: npt.ArrayLike, condition: npt.ArrayLike) -> Floats:
    """KL(baseline || condition) [items] of two arrays of log-probabilities [items, options], each renormalised over the
    options. Where the baseline's probability is 0 the option adds nothing; where only the condition's is, KL is inf."""
    base = log_softmax(np.asarray(baseline, dtype=np.float64), axis=-1)
    cond = log_softmax(np.asarray(condition, dtype=np.float64), axis=-1)
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(base), 0.0, np.exp(base) * (base - cond))
    return np.asarray(np.maximum(terms.sum(axis=-1), 0))


def amplification(mean_shift_last: float | None, mean_shift_edited: float | None) -> float | None:
    """Relative shift of the last layer over that of the edited one; None where the edit moved nothing."""
    if mean_shift_last is None or not mean_shift_edited:
        return None
    return mean_shift_last / mean_shift_edited
