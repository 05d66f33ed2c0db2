"""The noise floor: how much answers change where nothing was done to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def noise_floor(changed: npt.ArrayLike) -> float | None:
    """Largest share of changed answers among null conditions (another batch composition, an edit of strength zero).

    `changed` [null conditions, items]: 1 where the answer is not the baseline's. None without conditions or items.
    """
    array = np.asarray(changed, dtype=np.float64)
    return float(array.mean(axis=1).max()) if array.size else None


def drift_above_noise_floor(drift: float | None, floor: float | None) -> float | None:
    """Drift less its floor, which may be negative; None where either is."""
    return None if drift is None or floor is None else drift - floor
