"""Selection scores, one file each: how selective a feature is for a task. `SCORES` holds them by name.

Another package adds one by an entry point of the group `vsc_eval.scores` (see vsc_eval.registry).
"""

from vsc_eval.interventions.scores.base import SCORES, SelectionScore

__all__ = ["SCORES", "SelectionScore"]
