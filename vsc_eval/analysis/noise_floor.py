"""The noise floor: how much answers changed where nothing was done to them."""

import numpy as np

from vsc_eval.analysis.groups import resampled
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition, Mask
from vsc_eval.edit_kinds import EDITS
from vsc_eval.records import Record
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure

OTHER_BATCHES = "other batches"
"""The baseline once more, in batches of another size and order."""


class FloorRow(Record):
    """How much answers change where nothing was done to them."""

    name: str
    """`other batches`: a second baseline in other batches; or the condition of zero strength."""
    drift: Figure
    n_changed: int
    max_logprob_difference: float
    """Largest change of an option's log-probability, nats; 0 where there are no options."""


def changes_nothing(condition: AskedCondition) -> bool:
    """Whether the edit is one of strength zero (`scale=1`), which must leave every answer as it is."""
    edit = condition.spec.edit
    return edit is not None and edit.strength == EDITS.get(edit.kind).neutral


def changed_without_cause(table: AnswerTable) -> dict[str, Mask]:
    """Name -> which answers are not the baseline's though nothing was done [items]: under the second baseline, if the
    table has one, and under each condition of strength zero."""
    found = {}
    if again := table.passes.get("other_batches"):
        now, then = (np.array(part.vocabulary)[part.answer[part.rows[BASELINE]]] for part in (again, table.main))
        found[OTHER_BATCHES] = np.asarray(now != then, dtype=np.bool_)
    names = [condition.name for condition in table.conditions if changes_nothing(condition)]
    found |= dict(zip(names, table.changed(names) > 0, strict=True))
    return found


def floor_rows(table: AnswerTable, statistics: StatisticsSpec) -> tuple[FloorRow, ...]:
    """Drift of the second baseline and of each condition of strength zero."""
    changed = changed_without_cause(table)
    if not changed:
        return ()
    shares = resampled(np.array(list(changed.values())), table, statistics, ("study", "floor", "bootstrap"))
    gaps = largest_differences(table)
    return tuple(
        FloorRow(name=name, drift=share, n_changed=int(items.sum()), max_logprob_difference=gaps[name])
        for (name, items), share in zip(changed.items(), shares, strict=True)
    )


def largest_differences(table: AnswerTable) -> dict[str, float]:
    """Largest change of an option's log-probability against the baseline, nats, of each that did nothing; 0 where there
    are no options."""
    baseline, found = table.main.option_logprobs[0], {}
    for name in changed_without_cause(table):
        part, row = (table.passes["other_batches"], BASELINE) if name == OTHER_BATCHES else (table.main, name)
        again = part.option_logprobs[part.rows[row]].astype(np.float64)
        # Two options of probability 0 do not differ, and inf - inf is not a number.
        gap = np.abs(np.subtract(baseline, again, where=baseline != again, out=np.zeros_like(again)))
        found[name] = float(np.nanmax(gap, initial=0))
    return found
