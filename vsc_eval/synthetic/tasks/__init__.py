"""The synthetic tasks, one file each: difficulty, wording, the four scenes of an orbit, and the oracle's reader.

Another package adds one by an entry point of the group `vsc_eval.synthetic_tasks` (see vsc_eval.registry).
"""

from vsc_eval.synthetic.tasks.base import SYNTHETIC_TASKS, TASKS, SyntheticTask

__all__ = ["SYNTHETIC_TASKS", "TASKS", "SyntheticTask"]
