"""results.json of a run: every row of figures.

The file holds nothing that changes from one run of the same spec to the next (no times, no machine), so a resumed run
writes the same bytes.
"""

from typing import Literal

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.official import OfficialRow
from vsc_eval.analysis.rows import Row, find_row
from vsc_eval.records import Record
from vsc_eval.specs import ConditionSpec
from vsc_eval.taskfiles.schema import DataReport


class Results(Record):
    """The whole of results.json."""

    schema_version: Literal[2] = 2
    model: str
    model_fingerprint: str
    intervention: str | None
    scoring: str
    seed: int
    conditions: tuple[ConditionSpec, ...]
    targets: dict[str, tuple[str, ...] | None]
    """Condition -> the tasks that its sets were selected for; None where a set names none."""
    rows: tuple[Row, ...]
    interactions: tuple[InteractionRow, ...]
    official: tuple[OfficialRow, ...] = ()
    data: tuple[DataReport, ...] = ()
    """What became of the rows of external data sets."""

    def find(self, condition: str, scope: Scope, task: str | None = None, level: str | None = None) -> Row | None:
        """The row of that condition and group (no category), None if there is none."""
        return find_row(self.rows, condition, scope, task, level)
