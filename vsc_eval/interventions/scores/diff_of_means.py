"""diff_of_means: difference of the group means over the pooled standard deviation (Cohen's d)."""

import numpy as np

from vsc_eval.interventions.scores import Floats, Mask, SelectionScore

# A feature without any spread inside the two groups separates them perfectly; scores must stay finite to be stored.
_LARGEST = 1e6


def _scores(values: Floats, _fired: Mask, in_task: Mask) -> Floats:
    return np.stack([_of_task(values[mask], values[~mask]) for mask in in_task])


def _of_task(task: Floats, others: Floats) -> Floats:
    gap = task.mean(0) - others.mean(0)
    degrees = len(task) + len(others) - 2
    spread = ((task - task.mean(0)) ** 2).sum(0) + ((others - others.mean(0)) ** 2).sum(0)
    pooled_sd = np.sqrt(spread / degrees)
    floor = np.where(gap == 0, 1.0, np.abs(gap) / _LARGEST)
    result: Floats = gap / np.maximum(pooled_sd, floor)
    return result


DIFF_OF_MEANS = SelectionScore("diff_of_means", _scores, of_nothing=0.0)
