"""`results.json` of a study: every number in its report. It holds no times and no machine, so that a second run of the
same spec writes the same bytes."""

from __future__ import annotations

from typing import Any, Literal

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow
from vsc_eval.analysis.rows import Row, find_row
from vsc_eval.probing.result import ProbingResult
from vsc_eval.records import Record
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality
from vsc_eval.studies.spec import StudySpec


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


class Exclusion(Record):
    what: str
    why: str


class StudyResults(Record):
    """The whole of results.json."""

    schema_version: Literal[2] = 2
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
    rows: tuple[Row, ...]
    pairs: tuple[InteractionRow, ...]
    controls: tuple[ControlTest, ...]
    excluded: tuple[Exclusion, ...]

    def row(
        self, condition: str, scope: Scope = "all", task: str | None = None, level: str | None = None
    ) -> Row | None:
        """The row of that condition and group, None if there is none."""
        return find_row(self.rows, condition, scope, task, level)

    def settings(self) -> dict[str, Any]:
        """The spec as plain data, for the report."""
        return self.spec.model_dump(mode="json")
