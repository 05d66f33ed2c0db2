"""A run: the answers of one model under many conditions, and all that is computed from them; started, or read from
disk."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.interactions import InteractionRow, interactions
from vsc_eval.analysis.noise_floor import FloorRow, changed_without_cause, floor_rows
from vsc_eval.analysis.official import OfficialRow, official_rows
from vsc_eval.analysis.rows import Flip, Row, flips, rows
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.finished_run import read_run
from vsc_eval.api.frames import answer_frame, grouping_of, record_frame, row_frame
from vsc_eval.api.intervention import Given, Intervention, load_intervention, one_intervention
from vsc_eval.api.model import Model, takes
from vsc_eval.api.plots import Plots
from vsc_eval.errors import SpecError
from vsc_eval.figures.data_uri import png_data_uri
from vsc_eval.files import picture_hash
from vsc_eval.mistakes import validated
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE, split_names
from vsc_eval.studies.analysis import statistics_of
from vsc_eval.studies.records import StudyResults, read_results
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep
from vsc_eval.synthetic import find_item
from vsc_eval.tables.clean import html
from vsc_eval.tables.formats import to_html
from vsc_eval.tables.table import columns, table

_SHOWN = 12
_OF_EACH_RUN = ("batch_size", "engine_mode", "memory_gb")
"""Settings of a model that a run may have another value of."""


@dataclass(frozen=True)
class ChangedAnswer:
    """One item whose answer is not the baseline's."""

    flip: Flip
    item: AskedItem

    @property
    def prompt(self) -> str | None:
        """The text that was asked; None where it may not be kept."""
        if self.item.messages is None:
            return None
        content = json.loads(self.item.messages)[-1]["content"]
        return "\n".join(part["text"] for part in content if part["type"] == "text")

    @property
    def image(self) -> Image.Image | None:
        """The picture that was shown, drawn again; None for other data than the synthetic benchmark's, whose pictures
        a run does not keep, and where another one (or none) was shown."""
        try:
            drawn = find_item(self.item.item_id).image()
        except SpecError:
            return None
        return drawn if picture_hash(drawn) == self.item.image_hash else None

    def _repr_html_(self) -> str:
        picture = self.image
        source = None if picture is None else png_data_uri(np.asarray(picture))
        shown = f'<img src="{source}" width="160" alt="the picture">' if source else ""
        before, after, gold = map(html, (self.flip.before, self.flip.after, self.flip.gold))
        text = "<br>".join(map(html, (self.prompt or "").splitlines()))
        return (
            '<div style="display:inline-block; vertical-align:top; width:170px; margin:4px; font-size:85%">'
            f"{shown}<br><b>{self.flip.change.replace('_', ' ')}</b>: {before} &rarr; <b>{after}</b>, right is {gold}"
            f"<br>{text}</div>"
        )


class Flips(Sequence[ChangedAnswer]):
    """The items that one condition changed, in the run's order. A notebook shows the first of them with pictures."""

    def __init__(self, table: AnswerTable, condition: str) -> None:
        """Raises SpecError for a condition that the table does not have."""
        self.condition = condition
        self._table = table
        items = {item.item_id: item for item in table.items}
        self._found = [ChangedAnswer(flip, items[flip.item_id]) for flip in flips(table, condition)]

    @property
    def frame(self) -> pd.DataFrame:
        """item_id, task, level, gold, before (the baseline's answer), after, change, prompt."""
        frame = record_frame(Flip, [each.flip for each in self._found], self._table)
        return frame.assign(prompt=pd.Series([each.prompt for each in self._found], dtype=object))

    def __getitem__(self, place: Any) -> Any:
        return self._found[place]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"Flips('{self.condition}', {len(self)} of {len(self._table.items)} answers changed)"

    def _repr_html_(self) -> str:
        more = f", the first {_SHOWN}" if len(self) > _SHOWN else ""
        shown = "".join(each._repr_html_() for each in self._found[:_SHOWN])
        return f"<p>{html(repr(self))}{more}</p>{shown}"


@dataclass(eq=False, repr=False)
class Run:
    """The answers of one model under many conditions; `run` and `read` make one. Figures are computed when they are
    asked for; columns of all frames: see vsc_eval.api.frames."""

    table: AnswerTable
    """The answers as arrays of [conditions, items]."""
    name: str
    """The model's name."""
    statistics: StatisticsSpec
    """Draws, levels and seed of intervals and tests."""
    folder: Path | None = None
    """Where the run is kept; None: in memory."""

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
        return Plots(self.summary, self.name)

    @cached_property
    def _analysed(self) -> AnswerTable:
        """The conditions that have rows."""
        return self.table

    def _rows(self, grouping: str | tuple[str, ...]) -> tuple[Row, ...]:
        null_changed = changed_without_cause(self.table)
        return rows(self._analysed, self.statistics, by=[grouping], null_changed=null_changed)

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


@dataclass(eq=False, repr=False)
class Study(Run):
    """A finished study's sweep, with the verdicts on its pairs and what control draws did."""

    results: StudyResults = field(kw_only=True)
    """Every number of the report."""

    @cached_property
    def _analysed(self) -> AnswerTable:
        # Conditions of strength zero are there for the noise floor, and have no rows.
        swept = {row.condition for row in self.results.rows}
        return self.table.under([name for name in self.table.names if name in swept])

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row a pair of sets under the verdict's edit: its interactions, the `verdict` (interference, none, not
        enough evidence) and the numbers that `decided_by`."""
        judged = [pair for pair in self.results.pairs if pair.verdict is not None]
        return record_frame(InteractionRow, judged, self.table)

    @property
    def controls(self) -> pd.DataFrame:
        """One row an effect of the real sets beside the same effect of control draws (n_draws, mean_draws): percentile
        among them, p, and family-wise p of interactions."""
        return record_frame(ControlTest, self.results.controls, self.table)


@takes(RunSpec)
def run(
    model: Model | str | Path = "vsc-tiny",
    *,
    tasks: str | Sequence[str] = "vsc",
    conditions: Given | Iterable[Given] = (BASELINE,),
    intervention: Intervention | str | Path | None = None,
    out: str | Path | None = None,
    **settings: Any,
) -> Run:
    """Ask a model the items of some tasks under many conditions, as `vsc-eval run` does.

    model: one that is loaded, or what `load_model` takes. tasks: names, as a list or with commas between them.
    conditions: edits of feature sets, sets (their default edit) and expressions, in any mixture; the baseline is always
    asked. intervention: where the sets of expressions are from; by default that of the objects, or the one named like
    the model. out: a folder keeps the run and resumes it; None keeps it in memory. settings: those of the command line,
    with its defaults; see RunSpec.

    Raises SpecError for an unknown name, setting or condition, DataError for data or a model that are damaged,
    BackendError for what the model or the machine cannot do.

    Examples:
        >>> import vsc_eval as vsc
        >>> run = vsc.run("vsc-tiny", tasks="vsc_counting_easy", n=4, conditions=["counting:ablate"])
        >>> run.summary()[["condition", "alpha", "n", "accuracy"]].to_dict("records")
        [{'condition': 'baseline', 'alpha': nan, 'n': 4, 'accuracy': 0.75},
         {'condition': 'counting:ablate', 'alpha': 0.0, 'n': 4, 'accuracy': 0.75}]
    """
    given = [conditions] if isinstance(conditions, Given) else list(conditions)
    named = load_intervention(intervention) if isinstance(intervention, str | Path) else intervention
    own = one_intervention(given, named)
    loaded = model if isinstance(model, Model) else None
    of_model = {"model": str(model)} if loaded is None else dict(loaded.spec)
    changed = [name for name in of_model if name in settings and name not in _OF_EACH_RUN]
    if loaded is not None and changed:
        raise SpecError(
            f"run: '{changed[0]}' is a setting of the model, and '{loaded.name}' is loaded already.",
            hint=f"Give it to load_model: load_model('{loaded.name}', {changed[0]}=...).",
        )
    values: dict[str, Any] = {
        **of_model,
        **settings,
        "tasks": split_names(tasks) if isinstance(tasks, str) else tasks,
        "conditions": [name for each in given for name in split_names(str(each))],
        "intervention": own.name if own else None,
    }
    spec = validated(RunSpec, values, "run")
    if loaded is not None:
        loaded.release()
    console = Console(stderr=True)
    # What it says besides its progress would stay behind in the notebook.
    console.quiet = console.is_jupyter
    folder = None if out is None else Path(out)
    vlm = loaded.vlm if loaded else None
    finished = run_sweep(spec, folder, console=console, vlm=vlm, intervention=own)
    return Run(finished.table, spec.model, spec.statistics, folder)


def read(folder: str | Path) -> Run:
    """The finished run or study (a Study) in a folder.

    Raises SpecError if it holds none or one that is not finished, DataError if a file is damaged.
    """
    found = read_run(Path(folder))
    if found.is_study:
        results = read_results(found.path)
        statistics = statistics_of(results.spec)
        return Study(found.table, results.spec.model, statistics, found.path, results=results)
    settings = found.settings
    statistics = StatisticsSpec(**{k: v for k, v in settings.items() if k in StatisticsSpec.model_fields})
    return Run(found.table, str(settings.get("model", found.path.name)), statistics, found.path)
