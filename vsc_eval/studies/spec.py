"""`study.yaml`: everything that a study does, the rule of its verdicts included, written before it runs."""

from itertools import combinations
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from vsc_eval.analysis.controls import CONTROL_KINDS, ControlKind, Pair
from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.probing.records import ProbeSizes
from vsc_eval.sae.options import TrainConfig
from vsc_eval.settings import EngineSpec, ItemsPerCell, ModelSpec, ResamplingSpec, Seed, TaskTypesSpec, with_default
from vsc_eval.specs import EditSpec, Spec, expand_condition, parse_condition
from vsc_eval.synthetic import LETTERS, LEVELS

_ANY_EDIT = EditSpec(kind="ablate")


class ProbingOptions(ProbeSizes):
    """Linear probes on every layer, and the rule that picks one."""

    rule: Literal["peak", "earliest", "selectivity", "fixed"] = "peak"
    """peak: best task probe on held-out paraphrases; earliest: first layer within `tolerance` of it; selectivity:
    largest gap to the probe of random labels; fixed: `layer`."""
    pooling: Literal["last", "image", "text"] = "text"
    """Tokens whose pooled activations the rule looks at."""
    tolerance: float = Field(default=0.01, ge=0, le=1)
    layer: int | None = Field(default=None, ge=0)
    """Of the rule `fixed`."""

    @model_validator(mode="after")
    def _layer_fits_rule(self) -> Self:
        if (self.rule == "fixed") != (self.layer is not None):
            raise ValueError("`layer` goes with the rule `fixed`, and only with it")
        return self


class SAEOptions(Spec):
    """The SAE of the chosen layer, trained on the `sae` split."""

    train: TrainConfig = TrainConfig()
    positions: Literal["image", "text", "last", "all"] = "all"
    items_per_cell: ItemsPerCell | None = None


class SelectOptions(Spec):
    """One feature set per task, on the `select` split."""

    rule: SelectionRule = SelectionRule()
    items_per_cell: ItemsPerCell | None = None
    stability_draws: int = Field(default=50, ge=1)
    """Bootstrap subsamples of orbits on which the selection is repeated."""


class SweepOptions(Spec):
    """Real sets: every single one and the combined edits of two, on the `test` split."""

    items_per_cell: ItemsPerCell = 20
    edits: tuple[str, ...] = ("scale=2", "scale=4", "ablate")
    """As in a condition's expression after the colon; grids such as scale=2,4 are written out."""
    pairs: Literal["all"] | tuple[Pair, ...] = "all"
    norm_match: Literal["mean", "max"] | None = "mean"
    """Each combined edit also rescaled per token to the mean or max of its parts' norms; None: not."""

    @field_validator("edits")
    @classmethod
    def _grids_written_out(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(edit for expression in given for edit in expand_condition(expression))


class ControlOptions(Spec):
    """What the real sets are compared with, all under the edit of the verdict and without norm matching."""

    kinds: tuple[ControlKind, ...] = CONTROL_KINDS
    draws: int = Field(default=20, ge=0)
    """Of each kind; p cannot be smaller than 1 / (1 + draws)."""
    items_per_cell: ItemsPerCell = 8
    """The first so many items of each cell of the sweep; the real sets are compared on these too."""
    pairs: Literal["all"] | tuple[Pair, ...] = "all"


class StatisticsOptions(ResamplingSpec):
    draws: int = with_default(ResamplingSpec, "draws", 10_000)


class StudySpec(TaskTypesSpec, EngineSpec):
    """One model, the whole pipeline. `backend` answers in the sweep and the controls; activations always come from
    transformers. One feature set is selected for each of `tasks`."""

    schema_version: Literal[1] = 1
    seed: Seed = 0
    """Of probes, SAE, control draws, bootstrap and permutations, each through a stream of its own."""
    probing: ProbingOptions = ProbingOptions()
    sae: SAEOptions = SAEOptions()
    select: SelectOptions = SelectOptions()
    sweep: SweepOptions = SweepOptions()
    controls: ControlOptions = ControlOptions()
    statistics: StatisticsOptions = StatisticsOptions()
    verdict: VerdictRule = VerdictRule()
    batch_size: int = with_default(ModelSpec, "batch_size", 16)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.tasks) < 2:
            raise ValueError("tasks: a study compares tasks: name at least two")
        if len({parse_edit(edit).model_dump_json() for edit in self.sweep.edits}) != len(self.sweep.edits):
            raise ValueError("an edit is named twice in sweep.edits")
        if self.verdict.edit not in self.sweep.edits:
            raise ValueError(
                f"verdict.edit '{self.verdict.edit}' is none of sweep.edits: {', '.join(self.sweep.edits)}"
            )
        for field, chosen in (("sweep", self.sweep.pairs), ("controls", self.controls.pairs)):
            if chosen != "all":
                _check_pairs(field, chosen, self.tasks)
        if missing := sorted(set(self.control_pairs) - set(self.pairs)):
            raise ValueError(f"controls.pairs holds {missing}, which sweep.pairs lacks")
        if self.controls.items_per_cell > self.sweep.items_per_cell:
            raise ValueError("controls.items_per_cell is larger than sweep.items_per_cell")
        orbits = len(self.tasks) * len(LEVELS) * self.probing.items_per_cell // len(LETTERS)
        if self.probing.folds > orbits:
            raise ValueError(f"probing.folds: it is {self.probing.folds}, and there are {orbits} orbits to divide")
        if missing_kinds := sorted(set(self.verdict.control_kinds) - set(self.controls.kinds)):
            raise ValueError(f"the verdict asks for controls that are not run: {missing_kinds}")
        if self.verdict.control_kinds and 1 / (1 + self.controls.draws) > self.verdict.control_alpha:
            raise ValueError(
                f"with {self.controls.draws} control draws p is at least 1/{1 + self.controls.draws}, above "
                f"control_alpha = {self.verdict.control_alpha}: no pair could ever interfere"
            )
        return self

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Pairs of sets in the sweep, both in the order of `tasks`."""
        return _pairs(self.sweep.pairs, self.tasks)

    @property
    def control_pairs(self) -> tuple[Pair, ...]:
        """Pairs for which controls are run."""
        return self.pairs if self.controls.pairs == "all" else _pairs(self.controls.pairs, self.tasks)


def parse_edit(text: str, default: EditSpec = _ANY_EDIT) -> EditSpec:
    """`scale=4:image` as an EditSpec, what it leaves out as in `default`. Raises SpecError."""
    edit = parse_condition(f"set:{text}", default).edit
    assert edit is not None
    return edit


def _pairs(chosen: Literal["all"] | tuple[Pair, ...], tasks: tuple[str, ...]) -> tuple[Pair, ...]:
    named = None if chosen == "all" else set(map(frozenset, chosen))
    return tuple(pair for pair in combinations(tasks, 2) if named is None or frozenset(pair) in named)


def _check_pairs(field: str, pairs: tuple[Pair, ...], tasks: tuple[str, ...]) -> None:
    if not pairs:
        raise ValueError(f"{field}.pairs is empty; write `all`, or name at least one pair")
    for a, b in pairs:
        if a not in tasks or b not in tasks:
            raise ValueError(f"{field}.pairs: ({a}, {b}) names a task that is not in `tasks`")
        if a == b:
            raise ValueError(f"{field}.pairs: ({a}, {b}) is no pair of two")
    if len({frozenset(pair) for pair in pairs}) != len(pairs):
        raise ValueError(f"{field}.pairs names a pair twice")
