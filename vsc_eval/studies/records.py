"""`results.json` of a study: every number in its report. It holds no times and no machine, so that a second run of the
same spec writes the same bytes."""

from itertools import combinations
from pathlib import Path
from typing import Literal

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow
from vsc_eval.analysis.rows import Row, find_row
from vsc_eval.answers.answer_table import Role
from vsc_eval.probing.records import ProbingResult
from vsc_eval.records import Record
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality
from vsc_eval.specs import BASELINE
from vsc_eval.studies.spec import StudySpec

RESULTS_FILE = "results.json"


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


class SetPair(Record):
    a: str
    b: str
    jaccard: float
    decoder_cosine: float


class Selection(Record):
    sets: tuple[SetRow, ...]
    jaccard: tuple[tuple[float, ...], ...]
    """[sets, sets] in the order of `sets`."""
    decoder_cosine: tuple[tuple[float, ...], ...]
    stability_draws: int

    @property
    def overlaps(self) -> list[SetPair]:
        """Every two sets."""
        return [
            SetPair(a=a.name, b=b.name, jaccard=self.jaccard[i][j], decoder_cosine=self.decoder_cosine[i][j])
            for (i, a), (j, b) in combinations(enumerate(self.sets), 2)
        ]


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

    @property
    def baseline(self) -> Row:
        """On all items."""
        return next(row for row in self.conditions if row.condition == BASELINE)

    @property
    def conditions(self) -> list[Row]:
        """Every condition on all items, the baseline first."""
        return [row for row in self.rows if row.scope == "all"]

    def edited(self, edit: str, role: Role) -> list[Row]:
        """Conditions of that role under that edit, on all items."""
        return [row for row in self.conditions if (row.edit, row.role) == (edit, role)]

    def ruled(self, form: Form) -> list[InteractionRow]:
        """The pairs of that form which have a verdict."""
        return [pair for pair in self.pairs if pair.form == form and pair.verdict is not None]

    def verdict_counts(self, form: Form) -> tuple[int, int, int]:
        """Pairs that interfere, that do not, and without enough evidence."""
        verdicts = [pair.verdict for pair in self.ruled(form)]
        return verdicts.count("interference"), verdicts.count("none"), verdicts.count("not enough evidence")

    @property
    def noise_floor(self) -> float:
        """The largest drift where nothing was done."""
        return max((row.drift.value or 0.0 for row in self.floor), default=0.0)

    def passes(self, p: float | None) -> bool:
        """Whether an adjusted p is as small as the verdict's rule asks."""
        return p is not None and p <= self.spec.verdict.alpha


def read_results(path: Path) -> StudyResults:
    """The results of a finished study's folder."""
    return StudyResults.model_validate_json((path / RESULTS_FILE).read_bytes())
