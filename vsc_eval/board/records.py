"""An entry of a board as its tables and page see it: one run of one model, made of the files in its folder.

Text from models and data sets (answers, options, names) is kept as it was; whoever shows it escapes it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow
from vsc_eval.analysis.official import OfficialRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import AnswerTable, Scoring
from vsc_eval.probing.result import ProbingResult
from vsc_eval.records import Record
from vsc_eval.stats import Figure

UNSEALED = "0" * 64

Interval: TypeAlias = Figure

BoardScope: TypeAlias = Scope
Role = Literal["baseline", "single", "combined", "norm_matched"]


class BoardModel(Record):
    """What was evaluated."""

    name: str = Field(min_length=1)
    """As it is shown: a hub id, or the name that the publisher gave."""
    revision: str | None = None
    """Commit on the hub, where it came from there."""
    fingerprint: str = Field(min_length=1)
    """First 16 hex digits of a hash of configuration, weights and dtype."""
    dtype: str


class BoardIntervention(Record):
    """What was edited with; absent for a run of the baseline alone."""

    name: str
    layer: int
    """Decoder layer, from 0, at whose output the edit is done."""
    sae_fingerprint: str
    sets: dict[str, tuple[int, ...]]
    """Feature set -> its SAE features."""


class Provenance(Record):
    """How it was computed."""

    source: Literal["run", "study"]
    date: str
    """When the last computation of the run ended (of a study: began), ISO 8601 with the offset from UTC."""
    backend: str
    device: str
    machine: str
    """Processor, cores, memory and accelerators in words."""
    packages: dict[str, str]
    generator_version: str | None
    """Of the synthetic benchmark; None where it was not asked."""
    task_hashes: dict[str, str]
    """Task file -> hash of what it says."""
    seed: int
    settings: dict[str, Any]
    """The spec as the run's folder has it, without paths of the machine it ran on."""

    @property
    def day(self) -> str:
        """`2026-01-31`."""
        return self.date[:10]


class BoardCondition(Record):
    name: str
    role: Role
    sets: tuple[str, ...] = ()
    edit: str | None = None
    """In words: `scale=4`, `ablate:image`; None for the baseline."""
    targets: tuple[str, ...] | None = None
    """Tasks that the sets were selected for; None where a set names none."""
    content_hash: str
    """Of edit, features and SAE; `baseline` for the baseline."""
    is_headline: bool = True
    """Whether printed tables show it; the others are in the CSV and on the page."""


class ItemTable(Record):
    """All items by column, each [items] long, and the parsed answers of every condition."""

    id: tuple[str, ...]
    task: tuple[str, ...]
    level: tuple[str | None, ...]
    cluster: tuple[str, ...]
    cluster_kind: tuple[str, ...]
    gold: tuple[str, ...]
    prompt_hash: tuple[str, ...]
    image_hash: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    """The letters that log-probabilities are of; empty where there are none."""
    answers: dict[str, tuple[str, ...]]
    """Condition -> parsed answers [items], `invalid` where none could be read; the baseline is among them."""


# Tables have rows, cells and figures of their own; by these names they know those of the results.
BoardRow: TypeAlias = Row
UnionFigure: TypeAlias = InteractionRow
ControlFigure: TypeAlias = ControlTest
FloorFigure: TypeAlias = FloorRow
OfficialFigure: TypeAlias = OfficialRow


class Shown(Record):
    """Question and picture of an item that the board cannot draw itself; only what the publisher chose to give."""

    question: str
    picture: str | None = None
    """A data URI of a PNG or JPEG."""


class About(Record):
    """entry.json: what the files of the run do not say, and what they hash to."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}$", max_length=80)
    """Also the folder's name: the model's name in plain letters, and a hash of what was asked of what."""
    board: str
    source: Literal["run", "study"]
    name: str = Field(min_length=1)
    """What the model is called: a hub id, or the name that the publisher gave."""
    note: str = Field(default="", max_length=2000)
    """The publisher's own words."""
    date: str
    """When the last computation of the run ended (of a study: began), ISO 8601 with the offset from UTC."""
    dtype: str
    device: str
    machine: str
    """Processor, cores, memory and accelerators in words."""
    packages: dict[str, str]
    intervention: BoardIntervention | None = None
    files: dict[str, str] = Field(default_factory=dict)
    """Name -> sha256 (hex) of each of the other files."""
    sha256: str = Field(default=UNSEALED, pattern=r"^[0-9a-f]{64}$")
    """Of everything else in entry.json, in its canonical form, and so of all files."""


class Entry(Record):
    """The whole of an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    id: str
    board: str
    model: BoardModel
    intervention: BoardIntervention | None = None
    note: str = ""
    provenance: Provenance
    scoring: Scoring
    conditions: tuple[BoardCondition, ...]
    items: ItemTable
    rows: tuple[BoardRow, ...]
    official: tuple[OfficialRow, ...] = ()
    unions: tuple[UnionFigure, ...] = ()
    controls: tuple[ControlTest, ...] = ()
    floor: tuple[FloorRow, ...] = ()
    probing: ProbingResult | None = None
    table: AnswerTable = Field(exclude=True, repr=False)
    """All answers, and how likely each option was."""
    shown: dict[str, Shown] = Field(default_factory=dict)
    """Item id -> what to show of it."""
    sha256: str = UNSEALED
    """See About."""

    def row(
        self, condition: str, scope: BoardScope, task: str | None = None, level: str | None = None
    ) -> BoardRow | None:
        """The row of that condition and group (no category), None if there is none."""
        for row in self.rows:
            if (row.condition, row.scope, row.task, row.level) == (condition, scope, task, level) and row.by is None:
                return row
        return None

    @property
    def edits(self) -> tuple[BoardCondition, ...]:
        """The conditions but the baseline."""
        return tuple(condition for condition in self.conditions if condition.role != "baseline")

    @property
    def asked(self) -> str:
        """The id's last 10 hex digits, which two entries share that asked the same of the same."""
        return self.id[-10:]

    def condition(self, name: str) -> BoardCondition | None:
        return next((found for found in self.conditions if found.name == name), None)
