"""A selection score: the difference of the groups' largest activations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vsc_eval.interventions.scores import SelectionScore


def _scores(
    values: npt.NDArray[np.float64], _fired: npt.NDArray[np.bool_], in_task: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    return np.stack([values[mask].max(0) - values[~mask].max(0) for mask in in_task])


MAX_GAP = SelectionScore("max_gap", _scores, of_nothing=0.0)
