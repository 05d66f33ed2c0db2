"""An entry of a board: one run of one model, as the files in its folder tell it.

Text from models and data sets (answers, options, names) is kept as it was; whoever shows it escapes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow, changes_nothing
from vsc_eval.analysis.official import OfficialRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition, Scoring
from vsc_eval.probing.records import ProbingResult
from vsc_eval.records import Record
from vsc_eval.stats import Figure
from vsc_eval.synthetic import TASKS

UNSEALED = "0" * 64
REPUBLISH = "Entries are not edited by hand: publish the run again with `vsc-eval publish RUN --to BOARD --replace`."


class BoardIntervention(Record):
    """What was edited with; absent for a run of the baseline alone."""

    name: str
    layer: int
    """Decoder layer, from 0, at whose output the edit is done."""
    sae_fingerprint: str
    sets: dict[str, tuple[int, ...]]
    """Feature set -> its SAE features."""


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

    @property
    def day(self) -> str:
        """`2026-01-31`."""
        return self.date[:10]


class Results(BaseModel):
    """The parts of results.json that a board shows, of a run and of a study alike. Sections that a run lacks are empty;
    what else is in the file is carried along."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_fingerprint: str
    """First 16 hex digits of a hash of the model's configuration, weights and dtype."""
    rows: tuple[Row, ...]
    interactions: tuple[InteractionRow, ...] = Field(default=(), validation_alias=AliasChoices("interactions", "pairs"))
    official: tuple[OfficialRow, ...] = ()
    controls: tuple[ControlTest, ...] = ()
    floor: tuple[FloorRow, ...] = ()
    probing: ProbingResult | None = None


@dataclass(frozen=True, eq=False)
class Entry:
    """What an entry's files hold, and what a board says of it."""

    about: About
    run: Mapping[str, Any]
    """run.yaml."""
    table: AnswerTable
    """All answers, and how likely each option was."""
    document: dict[str, Any]
    """results.json as it is."""
    results: Results
    shown: dict[str, Shown] = field(default_factory=dict)
    """Item id -> what to show of it."""

    @property
    def id(self) -> str:
        return self.about.id

    @property
    def asked(self) -> str:
        """The id's last 10 hex digits, which two entries share that asked the same of the same."""
        return self.id[-10:]

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.about.name

    @property
    def fingerprint(self) -> str:
        return self.results.model_fingerprint

    @property
    def is_study(self) -> bool:
        return self.about.source == "study"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The spec that the run was made with, without paths of its machine; a study's stands in its results."""
        return mapping(self.document.get("spec") or self.run.get("settings"))

    @property
    def hashes(self) -> Mapping[str, Any]:
        """What the answers depend on beside the settings; a study says a part of it in its results."""
        told = ("sae_fingerprint", "layer", "generator_version") if self.is_study else ()
        return {**{name: self.document.get(name) for name in told}, **mapping(self.run.get("hashes"))}

    @property
    def revision(self) -> str | None:
        """Commit on the hub, where the model came from there."""
        return _text(self.hashes.get("model_revision"))

    @property
    def backend(self) -> str:
        return "vllm" if self.settings.get("backend") == "vllm" else "hf"

    @property
    def generator_version(self) -> str | None:
        """Of the synthetic benchmark; None where it was not asked."""
        return _text(self.hashes.get("generator_version")) if self.tasks & set(TASKS) else None

    @property
    def scoring(self) -> Scoring:
        return self.table.items[0].scoring if self.table.items else "loglikelihood"

    @cached_property
    def tasks(self) -> frozenset[str]:
        return frozenset(item.task for item in self.table.items)

    @cached_property
    def conditions(self) -> tuple[AskedCondition, ...]:
        """Edits of strength zero are asked for the noise floor alone, whose figures an entry has."""
        return tuple(condition for condition in self.table.conditions if not changes_nothing(condition))

    @cached_property
    def edits(self) -> tuple[AskedCondition, ...]:
        """The conditions but the baseline."""
        return tuple(condition for condition in self.conditions if condition.role != "baseline")

    @cached_property
    def headlines(self) -> frozenset[str]:
        """The conditions that printed tables show, those of a study's verdicts where it has any; the others are in the
        CSV and on the page."""
        edit = mapping(self.settings.get("verdict")).get("edit") if self.is_study else None
        shown = (None, edit) if isinstance(edit, str) else {condition.edit for condition in self.conditions}
        return frozenset(condition.name for condition in self.conditions if condition.edit in shown)

    @cached_property
    def effects(self) -> tuple[Row, ...]:
        """What the edits did over all items, where drift and change of accuracy are known."""
        rows = filter(None, (self.row(condition.name, "all") for condition in self.edits))
        figures = ((row, drift_share(row), row.difference) for row in rows)
        return tuple(r for r, drift, gain in figures if drift and gain and None not in (drift.value, gain.value))

    def row(self, condition: str, scope: Scope, task: str | None = None, level: str | None = None) -> Row | None:
        """The row of that condition and group (no category), None if there is none."""
        return self._rows.get((condition, scope, task, level))

    @cached_property
    def _rows(self) -> dict[tuple[str, Scope, str | None, str | None], Row]:
        return {(r.condition, r.scope, r.task, r.level): r for r in self.results.rows if r.by is None}


@dataclass(frozen=True)
class Problem:
    """Something wrong with a board, or inside an entry that is checked by itself."""

    place: str
    """Inside the file; empty for the file itself."""
    what: str
    hint: str = REPUBLISH
    file: str = ""
    """Below the board's folder."""

    def __str__(self) -> str:
        place = f", at '{self.place}'" if self.place else ""
        return f"{self.file}{place}: {self.what}. {self.hint}"


def drift_share(row: Row | None) -> Figure | None:
    """The share of answers that a condition changed, where there is such a row."""
    return row.drift.share if row and row.drift else None


def moment_of(text: str) -> datetime | None:
    """An ISO 8601 date and time with its offset from UTC; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def mapping(value: Any) -> Mapping[str, Any]:
    """A section as it is; empty where a file has something else in its place."""
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
