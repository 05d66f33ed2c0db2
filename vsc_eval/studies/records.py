"""`results.json` of a study: every number in its report. It holds no times and no machine, so that a second run of the
same spec writes the same bytes."""

from __future__ import annotations

from typing import Any, Literal

from vsc_eval.analysis.results import DriftFigures, Figure, McNemarCells
from vsc_eval.probing.result import ProbingResult
from vsc_eval.records import Record
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality
from vsc_eval.studies.spec import ControlKind, Form, Outcome, StudySpec

Verdict = Literal["interference", "none", "not enough evidence"]
Role = Literal["baseline", "single", "union", "norm_matched_union"]
RowScope = Literal["all", "on_target", "off_target", "task", "level", "cell"]


class ConditionRow(Record):
    """One condition of the sweep on one group of items, against the baseline."""

    condition: str
    role: Role
    sets: tuple[str, ...]
    edit: str | None
    """As in `sweep.edits`; None for the baseline."""
    scope: RowScope
    task: str | None
    level: str | None
    n: int
    n_clusters: int
    accuracy: Figure
    invalid_rate: float
    difference: Figure | None
    """acc(condition) - acc(baseline), paired."""
    p_difference: float | None
    """Sign-flip test of `difference`, two-sided, whole clusters flipped; not adjusted."""
    p_difference_adjusted: float | None
    """Over all conditions of the sweep in this scope, by the study's correction; None outside `all`."""
    mcnemar: McNemarCells | None
    detectable_difference: float | None
    drift: DriftFigures | None
    drift_above_noise_floor: float | None
    """Drift less the noise floor."""
    mean_kl_options: float | None
    mean_kl_vocab: float | None
    mean_margin_change: float | None
    mean_shift_edited: float | None
    mean_shift_last: float | None
    amplification: float | None


class FloorRow(Record):
    """How much answers change where nothing was done to them."""

    name: str
    """`other batches`: a second baseline in other batches; or the zero-strength condition."""
    drift: Figure
    n_changed: int
    max_logprob_difference: float
    """Largest change of an option's log-probability, nats."""


class SetRow(Record):
    """A selected feature set."""

    name: str
    task: str
    indices: tuple[int, ...]
    scores: tuple[float, ...]
    stability_mean: float | None
    """Mean Jaccard overlap with the sets selected on bootstrap subsamples of orbits."""
    stability_low: float | None
    stability_high: float | None


class Selection(Record):
    sets: tuple[SetRow, ...]
    jaccard: tuple[tuple[float, ...], ...]
    """[sets, sets] in the order of `sets`."""
    decoder_cosine: tuple[tuple[float, ...], ...]
    stability_draws: int


class ControlTest(Record):
    """One effect of the real sets beside the same effect of control draws, on the control items."""

    kind: ControlKind
    outcome: Outcome
    effect: Literal["single", "union", "interaction"]
    """single, union: drift, or accuracy difference, of the condition; interaction: of the union beyond its parts."""
    sets: tuple[str, ...]
    value: float
    draws: tuple[float, ...]
    percentile: float | None
    """Share of draws that are less harmful than the real one, ties half, in percent."""
    p: float | None
    """(1 + draws at least as harmful) / (1 + draws)."""
    p_family: float | None
    """The same of the largest standardised interaction over all control pairs, and all outcomes of the verdict, of a
    draw; only for `interaction` and those outcomes. A draw that lacks a pair does not count."""
    reason: str | None


class PairRow(Record):
    """A union of two sets against its parts."""

    parts: tuple[str, str]
    edit: str
    form: Form
    union: str
    n: int
    n_clusters: int
    drift: Figure
    """Of the union."""
    difference: Figure
    """Accuracy of the union less the baseline's."""
    drift_interaction: Figure
    """raw: D(A+B) - D(A) - D(B). norm_matched: D(A+B) less the mean (or the larger) of D(A), D(B), as the norm is."""
    drift_bliss: Figure | None
    """raw only: D(A+B) - (D(A) + D(B) - D(A) D(B))."""
    accuracy_interaction: Figure
    """raw: d(A+B) - d(A) - d(B). norm_matched: d(A+B) less the mean (or the smaller) of d(A), d(B)."""
    p_drift: float | None
    p_accuracy: float | None
    """Sign-flip tests of the two interactions, two-sided."""
    p_drift_adjusted: float | None
    p_accuracy_adjusted: float | None
    """Over all pairs and outcomes of this edit and form."""
    detectable_drift: float | None
    detectable_accuracy: float | None
    """Smallest interaction that such a run finds with power 0.8 at level 0.05, one test alone."""
    verdict: Verdict | None
    """Only under the verdict's edit. A norm_matched pair has no controls of its own and stands on those of the raw
    union: it interferes only where that does."""
    decided_by: str | None
    """The numbers that decided it, in words."""


class Exclusion(Record):
    what: str
    why: str


class StudyResults(Record):
    """The whole of results.json."""

    schema_version: Literal[1] = 1
    spec: StudySpec
    model_fingerprint: str
    sae_fingerprint: str
    generator_version: str
    versions: dict[str, str]
    """Packages that compute numbers."""
    n_items: int
    n_control_items: int
    probing: ProbingResult
    layer: int
    reconstruction: ReconstructionQuality
    splice: SpliceQuality
    selection: Selection
    floor: tuple[FloorRow, ...]
    rows: tuple[ConditionRow, ...]
    pairs: tuple[PairRow, ...]
    controls: tuple[ControlTest, ...]
    excluded: tuple[Exclusion, ...]

    def row(
        self, condition: str, scope: RowScope = "all", task: str | None = None, level: str | None = None
    ) -> ConditionRow | None:
        """The row of that condition and group, None if there is none."""
        for row in self.rows:
            if (row.condition, row.scope, row.task, row.level) == (condition, scope, task, level):
                return row
        return None

    def settings(self) -> dict[str, Any]:
        """The spec as plain data, for the report."""
        return self.spec.model_dump(mode="json")
