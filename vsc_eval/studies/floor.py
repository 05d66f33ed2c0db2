"""The noise floor: how much answers change where nothing was done to them."""

from __future__ import annotations

import numpy as np

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.specs import BASELINE
from vsc_eval.studies.answered import codes
from vsc_eval.studies.arrays import Codes

OTHER_BATCHES = "other batches"
"""Name of the second baseline, in batches of another size and order."""


def null_conditions(table: AnswerTable) -> list[str]:
    """Conditions of strength one, which scale by 1: they must change nothing."""
    specs = [condition.spec for condition in table.conditions]
    return [s.name for s in specs if s.edit is not None and s.edit.kind == "scale" and s.edit.value == 1]


def null_answers(table: AnswerTable) -> dict[str, Codes]:
    """What was answered where nothing was done [items]: the second baseline, and the null conditions."""
    main, again = codes(table.main), codes(table.passes["other_batches"])
    return {OTHER_BATCHES: again[0], **{name: main[table.main.rows[name]] for name in null_conditions(table)}}


def largest_difference(table: AnswerTable) -> dict[str, float]:
    """Largest change of an option's log-probability against the baseline, nats, of each that did nothing."""
    logprobs = table.main.option_logprobs
    again = {OTHER_BATCHES: table.passes["other_batches"].option_logprobs[0]}
    again |= {name: logprobs[table.main.rows[name]] for name in null_conditions(table)}
    base = logprobs[table.main.rows[BASELINE]].astype(np.float64)
    found = {}
    for name, other in again.items():
        # Two options of probability 0 do not differ, and inf - inf is not a number.
        gap = np.abs(np.subtract(base, other, where=base != other, out=np.zeros_like(base)))
        found[name] = float(gap.max())
    return found
