"""frequency_gap: difference of the shares of items that fire the feature. The pooling does not matter to it."""

import numpy as np

from vsc_eval.interventions.scores import Floats, Mask, SelectionScore


def _frequency_gap(_values: Floats, fired: Mask, in_task: Mask) -> Floats:
    return np.stack([fired[mask].mean(0) - fired[~mask].mean(0) for mask in in_task])


FREQUENCY_GAP = SelectionScore("frequency_gap", _frequency_gap, of_nothing=0.0)
