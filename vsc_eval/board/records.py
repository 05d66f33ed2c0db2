"""An entry of a board: one run of one model, in one JSON file.

It holds every item's parsed answer, so all counts in it can be computed anew and two entries compared item by item.
Text from models and data sets (answers, options, names) is kept as it was; whoever shows it escapes it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from vsc_eval.records import Record

ENTRY_SCHEMA_VERSION = 1

BoardScope = Literal["cell", "task", "level", "all", "on_target", "off_target", "category", "group"]
Role = Literal["baseline", "single", "union", "norm_matched_union"]


class Interval(Record):
    """A value with the interval that the row's `method` names. None is undefined, and `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


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

    @model_validator(mode="after")
    def _columns_are_of_one_length(self) -> ItemTable:
        n = len(self.id)
        wrong = [
            name
            for name in ("task", "level", "cluster", "cluster_kind", "gold", "prompt_hash", "image_hash", "options")
            if len(getattr(self, name)) != n
        ]
        wrong += [f"answers.{name}" for name, column in self.answers.items() if len(column) != n]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not as many values as there are items ({n})")
        if len(set(self.id)) < n:
            raise ValueError("an item is there twice")
        if "baseline" not in self.answers:
            raise ValueError("the answers of the baseline are missing")
        return self


class DriftCounts(Record):
    """Answers that differ from the baseline's; the five parts add up to `n_changed`."""

    n_changed: int
    right_to_wrong: int
    wrong_to_right: int
    wrong_to_other: int
    to_invalid: int
    from_invalid: int


class BoardRow(Record):
    """One condition on one group of items."""

    condition: str
    scope: BoardScope
    task: str | None = None
    level: str | None = None
    by: str | None = None
    """Column of a `category`."""
    category: str | None = None
    n: int = Field(ge=1)
    n_clusters: int = Field(ge=1)
    n_right: int = Field(ge=0)
    n_invalid: int = Field(ge=0)
    method: str
    """Of the intervals of this row: which, at which level, clustered by what."""
    accuracy: Interval
    difference: Interval | None = None
    """acc(condition) - acc(baseline), paired; None for the baseline."""
    p_difference: float | None = None
    """Exact McNemar (a run) or sign-flip of whole clusters (a study), two-sided, not adjusted."""
    detectable_difference: float | None = None
    drift: Interval | None = None
    drift_counts: DriftCounts | None = None
    mean_kl_options: float | None = None
    mean_margin_change: float | None = None
    mean_shift_edited: float | None = None
    mean_shift_last: float | None = None
    amplification: float | None = None


class OfficialFigure(Record):
    """A figure of an external data set's own metric."""

    task: str
    condition: str
    metric: str
    figure: str
    is_main: bool
    unit: str
    value: Interval
    difference: Interval | None = None


class UnionFigure(Record):
    """A union of two sets beyond its two parts, all with one edit."""

    union: str
    parts: tuple[str, str]
    """Names of the two conditions."""
    edit: str
    form: Literal["raw", "norm_matched"]
    drift_interaction: Interval
    """In a study, beyond the sum of the parts for a raw union, and beyond their mean (or the larger) for a norm-matched
    one. In a run, beyond the sum for both."""
    drift_bliss: Interval | None = None
    accuracy_interaction: Interval
    p_drift_adjusted: float | None = None
    p_accuracy_adjusted: float | None = None
    verdict: str | None = None
    decided_by: str | None = None


class ControlFigure(Record):
    """One effect beside the same effect of control draws."""

    kind: str
    outcome: str
    effect: Literal["single", "union", "interaction"]
    sets: tuple[str, ...]
    value: float
    draws: tuple[float, ...]
    percentile: float | None
    """Share of draws that are less harmful, ties half, in percent."""
    p: float | None
    """(1 + draws at least as harmful) / (1 + draws)."""


class FloorFigure(Record):
    """How much answers change where nothing was done to them."""

    name: str
    drift: Interval
    n_changed: int
    max_logprob_difference: float
    """Nats."""


class ProbePoint(Record):
    target: str
    pooling: str
    layer: int
    """-1 is the embeddings."""
    control: str
    accuracy: float
    low: float
    high: float


class Probes(Record):
    chosen_layer: int
    chosen_by: str
    chance: dict[str, float]
    interval: str
    points: tuple[ProbePoint, ...]


class Shown(Record):
    """Question and picture of an item that the board cannot draw itself; only what the publisher chose to give."""

    question: str
    picture: str | None = None
    """A data URI of a PNG or JPEG."""


class Entry(Record):
    """The whole of an entry's file."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}$", max_length=80)
    """Also the file's name: the model's name in plain letters, and a hash of what was asked of what."""
    board: str
    model: BoardModel
    intervention: BoardIntervention | None = None
    note: str = Field(default="", max_length=2000)
    """The publisher's own words."""
    provenance: Provenance
    scoring: Literal["loglikelihood", "generate"]
    conditions: tuple[BoardCondition, ...]
    items: ItemTable
    rows: tuple[BoardRow, ...]
    official: tuple[OfficialFigure, ...] = ()
    unions: tuple[UnionFigure, ...] = ()
    controls: tuple[ControlFigure, ...] = ()
    floor: tuple[FloorFigure, ...] = ()
    probes: Probes | None = None
    logprobs: dict[str, dict[str, tuple[float | None, ...]]] = Field(default_factory=dict)
    """Condition -> item id -> log-probability (nats) of each of its options at the first answer token: for a condition,
    of the items whose answer it changed; for the baseline, of all items that any condition changed. null: -infinity."""
    shown: dict[str, Shown] = Field(default_factory=dict)
    """Item id -> what to show of it."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of everything else in the file, in its canonical form."""

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
