"""`study.yaml`: everything that a study does, the rule of its verdicts included, written before it runs."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from vsc_eval.analysis.controls import CONTROL_KINDS, ControlKind, Pair
from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.backends.vllm.arguments import check_options, options_that_count
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.train import TrainConfig
from vsc_eval.specs import EditSpec, Spec, parse_condition
from vsc_eval.synthetic import LETTERS, LEVELS, TASKS

_ORBIT = len(LETTERS)
"""Items of an orbit: one for each right option."""

_HOW = frozenset({"batch_size", "device", "engine_mode", "backend", "vllm"})
"""Fields that say how to compute and not what: a study that goes on may change them. vLLM counts where it is used."""

_ANY_EDIT = EditSpec(kind="ablate")


class ProbingOptions(Spec):
    """Linear probes on every layer, and the rule that picks one."""

    items_per_cell: int = Field(default=20, ge=4)
    """Of the `select` split, to train the probes on."""
    test_items_per_cell: int = Field(default=20, ge=4)
    """Of other scenes of the `select` split, in held-out paraphrases."""
    folds: int = Field(default=5, ge=2)
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
    items_per_cell: int | None = Field(default=None, ge=4)


class SelectOptions(Spec):
    """One feature set per task, on the `select` split."""

    rule: SelectionRule = SelectionRule()
    items_per_cell: int | None = Field(default=None, ge=4)
    stability_draws: int = Field(default=50, ge=1)
    """Bootstrap subsamples of orbits on which the selection is repeated."""


class SweepOptions(Spec):
    """Real sets: every single one and the unions of two, on the `test` split."""

    items_per_cell: int = Field(default=20, ge=4)
    edits: tuple[str, ...] = ("scale=2", "scale=4", "ablate")
    """As in a condition's expression after the colon."""
    pairs: Literal["all"] | tuple[Pair, ...] = "all"
    norm_match: Literal["mean", "max"] | None = "mean"
    """Each union also rescaled per token to the mean or max of its parts' norms; None: not."""


class ControlOptions(Spec):
    """What the real sets are compared with, all under the edit of the verdict and without norm matching."""

    kinds: tuple[ControlKind, ...] = CONTROL_KINDS
    draws: int = Field(default=20, ge=0)
    """Of each kind; p cannot be smaller than 1 / (1 + draws)."""
    items_per_cell: int = Field(default=8, ge=4)
    """The first so many items of each cell of the sweep; the real sets are compared on these too."""
    pairs: Literal["all"] | tuple[Pair, ...] = "all"


class StatisticsOptions(Spec):
    draws: int = Field(default=10_000, ge=100)
    """Of the cluster bootstrap."""
    permutations: int = Field(default=10_000, ge=100)
    """Of the sign-flip test."""
    level: float = Field(default=0.95, gt=0.5, lt=1)


class StudySpec(Spec):
    """One model, the whole pipeline."""

    schema_version: Literal[1] = 1
    model: str = "vsc-tiny"
    """`vsc-tiny`, a hub id or a folder."""
    revision: str | None = None
    trust_remote_code: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_pixels: int | None = Field(default=None, ge=1)
    min_pixels: int | None = Field(default=None, ge=1)
    attn_implementation: str | None = None
    tasks: tuple[str, ...] = TASKS
    """Task types of the synthetic benchmark; one feature set is selected for each."""
    seed: int = Field(default=0, ge=0)
    """Of probes, SAE, control draws, bootstrap and permutations, each through a stream of its own."""
    probing: ProbingOptions = ProbingOptions()
    sae: SAEOptions = SAEOptions()
    select: SelectOptions = SelectOptions()
    sweep: SweepOptions = SweepOptions()
    controls: ControlOptions = ControlOptions()
    statistics: StatisticsOptions = StatisticsOptions()
    verdict: VerdictRule = VerdictRule()
    batch_size: int = Field(default=16, ge=1)
    device: str = "auto"
    engine_mode: Literal["auto", "shared", "hooks"] = "auto"
    backend: Literal["hf", "vllm"] = "hf"
    """What answers in the sweep and the controls: transformers or vLLM. Activations always come from transformers."""
    vllm: dict[str, Any] = Field(default_factory=dict)
    """Arguments of vLLM."""

    @model_validator(mode="after")
    def _backend_fits(self) -> Self:
        if self.backend == "hf" and self.vllm:
            raise ValueError("arguments of vLLM go with `backend: vllm`")
        if self.backend == "vllm" and self.engine_mode != "auto":
            raise ValueError("`engine_mode` is not of `backend: vllm`")
        check_options(self.vllm)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.tasks) < 2 or len(set(self.tasks)) != len(self.tasks):
            raise ValueError("a study compares tasks: name at least two, each once")
        if unknown := [task for task in self.tasks if task not in TASKS]:
            raise ValueError(f"unknown tasks {unknown}; the benchmark has {', '.join(TASKS)}")
        for edit in self.sweep.edits:
            parse_edit(edit)
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
        self._check_sizes()
        if missing_kinds := sorted(set(self.verdict.control_kinds) - set(self.controls.kinds)):
            raise ValueError(f"the verdict asks for controls that are not run: {missing_kinds}")
        if self.verdict.control_kinds and 1 / (1 + self.controls.draws) > self.verdict.control_alpha:
            raise ValueError(
                f"with {self.controls.draws} control draws p is at least 1/{1 + self.controls.draws}, above "
                f"control_alpha = {self.verdict.control_alpha}: no pair could ever interfere"
            )
        return self

    def _check_sizes(self) -> None:
        """Now and not when the stage is reached, which may be hours later."""
        sizes = {
            "probing.items_per_cell": self.probing.items_per_cell,
            "probing.test_items_per_cell": self.probing.test_items_per_cell,
            "sae.items_per_cell": self.sae.items_per_cell,
            "select.items_per_cell": self.select.items_per_cell,
            "sweep.items_per_cell": self.sweep.items_per_cell,
            "controls.items_per_cell": self.controls.items_per_cell,
        }
        for name, size in sizes.items():
            if size is not None and size % _ORBIT:
                raise ValueError(f"{name} is {size}: an orbit has {_ORBIT} items, so give a multiple of {_ORBIT}")
        orbits = len(self.tasks) * len(LEVELS) * self.probing.items_per_cell // _ORBIT
        if self.probing.folds > orbits:
            raise ValueError(f"probing.folds is {self.probing.folds}, and there are {orbits} orbits to divide")

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Pairs of sets in the sweep, both in the order of `tasks`."""
        return _pairs(self.sweep.pairs, self.tasks)

    @property
    def control_pairs(self) -> tuple[Pair, ...]:
        """Pairs for which controls are run."""
        return self.pairs if self.controls.pairs == "all" else _pairs(self.controls.pairs, self.tasks)

    def identity(self) -> dict[str, Any]:
        """The settings that a study which goes on must share: all but how and where it is computed."""
        found = {key: value for key, value in self.model_dump(mode="json").items() if key not in _HOW}
        if self.backend == "vllm":
            found |= {"backend": self.backend, "vllm": options_that_count(self.vllm)}
        return found


def parse_edit(text: str) -> EditSpec:
    """`scale=4:image` as an EditSpec. Raises SpecError."""
    edit = parse_condition(f"set:{text}", _ANY_EDIT).edit
    assert edit is not None
    return edit


def _pairs(chosen: Literal["all"] | tuple[Pair, ...], tasks: tuple[str, ...]) -> tuple[Pair, ...]:
    if chosen == "all":
        return tuple(combinations(tasks, 2))
    ordered = {tuple(sorted(pair, key=tasks.index)) for pair in chosen}
    return tuple(pair for pair in combinations(tasks, 2) if pair in ordered)


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
