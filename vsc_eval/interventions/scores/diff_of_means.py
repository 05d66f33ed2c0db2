"""diff_of_means: difference of the group means over the pooled standard deviation (Cohen's d)."""

import numpy as np

from vsc_eval.interventions.scores import Floats, Mask, SelectionScore

# A feature without any spread inside the two groups separates them perfectly; scores must stay finite to be stored.
_LARGEST = 1e6


def _diff_of_means(values: Floats, _fired: Mask, in_task: Mask) -> Floats:
    scores = np.empty((len(in_task), values.shape[1]))
    for row, mask in enumerate(in_task):
        task, others = values[mask], values[~mask]
        gap = task.mean(0) - others.mean(0)
        spread = ((task - task.mean(0)) ** 2).sum(0) + ((others - others.mean(0)) ** 2).sum(0)
        floor = np.where(gap == 0, 1.0, np.abs(gap) / _LARGEST)
        scores[row] = gap / np.maximum(np.sqrt(spread / (len(values) - 2)), floor)
    return scores


DIFF_OF_MEANS = SelectionScore("diff_of_means", _diff_of_means, of_nothing=0.0)
