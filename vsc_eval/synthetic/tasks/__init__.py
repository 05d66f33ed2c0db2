"""The synthetic tasks, one file each: difficulty, wording, the four scenes of an orbit, and the oracle's reader.

What a task is stands in base.py. Another package adds one by an entry point of the group `vsc_eval.synthetic_tasks`
(see vsc_eval.registry).
"""
