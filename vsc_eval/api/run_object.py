"""A run: the answers of one model under many conditions, and all that is computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.interactions import InteractionRow, interactions
from vsc_eval.analysis.noise_floor import FloorRow, changed_without_cause, floor_rows
from vsc_eval.analysis.official import OfficialRow, official_rows
from vsc_eval.analysis.rows import Row, rows
from vsc_eval.answers.answer_table import AnswerTable, Mask
from vsc_eval.api.flip_gallery import Flips
from vsc_eval.api.frames import answer_frame, grouping_of, record_frame, row_frame
from vsc_eval.api.plots import Plots
from vsc_eval.settings import StatisticsSpec
from vsc_eval.studies.records import StudyResults
from vsc_eval.tables.html import to_html
from vsc_eval.tables.table import columns, table


class Run:
    """The answers of one model under many conditions; `run` and `read` make one. Figures are computed when they are
    asked for; columns of all frames: see vsc_eval.api.frames."""

    def __init__(
        self,
        table: AnswerTable,
        *,
        name: str,
        statistics: StatisticsSpec,
        folder: Path | None = None,
        analysed: Sequence[str] | None = None,
    ) -> None:
        """analysed: the conditions that have rows, by default all of the table's."""
        self.table = table
        """The answers as arrays of [conditions, items]."""
        self.name = name
        """The model's name."""
        self.statistics = statistics
        """Draws, levels and seed of intervals and tests."""
        self.folder = folder
        """Where the run is kept; None: in memory."""
        self._analysed = table if analysed is None else table.under(analysed)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, the baseline first."""
        return self.table.names

    @cached_property
    def answers(self) -> pd.DataFrame:
        """One row an item and condition: what was asked, answered (`answer`, and `read` as it was read), whether it is
        `right`, whether it has `changed` against the baseline, and every option's log-probability in nats."""
        return answer_frame(self.table)

    def summary(self) -> pd.DataFrame:
        """One row a condition, over all items: accuracy, its difference from the baseline, drift, each with interval;
        p values, adjusted over the conditions. Shares, not percent. The same as `rows("all")`."""
        return self.rows("all")

    def rows(self, by: str | Iterable[str] = "all") -> pd.DataFrame:
        """One row a condition and group of items.

        by: `all`, `task`, `level`, `cell` (one task at one level), `on_target` and `off_target` (the tasks that a
        condition's sets were selected for, and the others), `category`, `group`; or columns of the items, as
        `["task", "gold"]`. All figures of a group are resampled with the same draws of clusters. Raises SpecError for
        an unknown one.
        """
        grouping = grouping_of(by)
        return row_frame(self._rows(grouping), self._analysed, grouping)

    def interactions(self) -> pd.DataFrame:
        """One row a combined edit of two sets whose parts were asked with the same edit: its drift and accuracy beyond
        what its parts lead one to expect; see docs/statistics.md. Empty without such an edit."""
        return record_frame(InteractionRow, interactions(self._analysed, self.statistics), self.table)

    def noise_floor(self) -> pd.DataFrame:
        """How much answers changed where nothing was done: under edits of strength zero (`scale=1`), and in a study
        under a second baseline. Empty where nothing was asked twice."""
        return record_frame(FloorRow, floor_rows(self.table, self.statistics), self.table)

    def official(self) -> pd.DataFrame:
        """The figures of the official metrics of external data sets. Empty without such data."""
        return record_frame(OfficialRow, official_rows(self.table, self.statistics), self.table)

    def flips(self, condition: str) -> Flips:
        """Whose answers the condition changed: a sequence with prompt and picture, and `.frame`. Raises SpecError for
        a condition that the run does not have."""
        return Flips(self.table, str(condition))

    @property
    def plot(self) -> Plots:
        """`plot.dose_response()`, `plot.accuracy_drift()`."""
        return Plots(self)

    @cached_property
    def _null_changed(self) -> Mapping[str, Mask]:
        return changed_without_cause(self.table)

    def _rows(self, grouping: str | tuple[str, ...]) -> tuple[Row, ...]:
        return rows(self._analysed, self.statistics, by=[grouping], null_changed=self._null_changed)

    def __repr__(self) -> str:
        size = f"{len(self.conditions)} conditions x {len(self.table.items)} items"
        return f"{type(self).__name__}('{self.name}', {size}, {self.folder or 'in memory'})"

    def _repr_html_(self) -> str:
        heads = (("condition", "name"), ("accuracy %", "percent"), ("difference", "points"), ("p adjusted", "p"))
        shown = [
            (r.condition, r.accuracy, r.difference, r.p_difference_adjusted, r.drift.share if r.drift else None)
            for r in self._rows("all")
        ]
        return to_html(table("run", repr(self), columns(*heads, ("drift %", "percent")), shown))


class Study(Run):
    """A finished study's sweep, with the verdicts on its pairs and what control draws did."""

    def __init__(self, table: AnswerTable, results: StudyResults, statistics: StatisticsSpec, folder: Path) -> None:
        # Conditions of strength zero are there for the noise floor, and have no rows.
        swept = {row.condition for row in results.rows}
        analysed = [name for name in table.names if name in swept]
        super().__init__(table, name=results.spec.model, statistics=statistics, folder=folder, analysed=analysed)
        self.results = results
        """Every number of the report."""

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row a pair of sets under the verdict's edit: its interactions, the `verdict` (interference, none, not
        enough evidence) and the numbers that `decided_by`."""
        return record_frame(
            InteractionRow, [pair for pair in self.results.pairs if pair.verdict is not None], self.table
        )

    @property
    def controls(self) -> pd.DataFrame:
        """One row an effect of the real sets beside the same effect of control draws (n_draws, mean_draws): percentile
        among them, p, and family-wise p of interactions."""
        return record_frame(ControlTest, self.results.controls, self.table)
