"""The settings that runs, studies, probes, SAE commands and lm-eval's model arguments share, each declared once.

A field's docstring is the help of its option on the command line; `Setting` says what else is to be known of it.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from vsc_eval.backends.registry import BACKENDS, BackendName
from vsc_eval.specs import BASELINE, Spec, expand_condition
from vsc_eval.synthetic import LETTERS, SYNTHETIC_TASKS, TASKS


@dataclass(frozen=True)
class Setting:
    """Marks a field, inside `Annotated`."""

    how: bool = False
    """It says where and how fast something is computed, or is recorded elsewhere: what is begun may go on with
    another value."""
    short: str = ""
    """One letter: the option's short form."""
    whole: bool = False
    """Of a list: each word of the command line is one item, commas and all."""


HOW = Setting(how=True)


def marks(model: type[Spec], name: str) -> Setting:
    """How a field is marked."""
    return next((mark for mark in model.model_fields[name].metadata if isinstance(mark, Setting)), Setting())


class Settings(Spec):
    """A spec whose fields say either what is computed or only how."""

    @classmethod
    def how(cls) -> frozenset[str]:
        """Names of the fields that say how."""
        return frozenset(name for name in cls.model_fields if marks(cls, name).how)

    def part(self, model: type[Spec]) -> dict[str, Any]:
        """The fields of `model`, to make another spec of them."""
        return {name: getattr(self, name) for name in model.model_fields}

    def identity(self) -> dict[str, Any]:
        """The fields that say what, as plain data: a folder goes on only with these unchanged."""
        return self.model_dump(mode="json", exclude=set(self.how()))


def with_default(model: type[Spec], name: str, default: Any) -> Any:
    """A field of `model` with another default, for a class that inherits it."""
    field = copy.copy(model.model_fields[name])
    field.default = default
    return field


def _whole_orbits(n: int) -> int:
    if n < len(LETTERS) or n % len(LETTERS):
        raise ValueError(f"{n} is no positive multiple of {len(LETTERS)}, the items of an orbit")
    return n


ItemsPerCell = Annotated[int, AfterValidator(_whole_orbits)]
"""Items of each task and level of the synthetic benchmark: whole orbits, of one item for each right option."""

Seed = Annotated[int, Field(ge=0)]


class ModelSpec(Settings):
    """A model, as transformers loads it."""

    model: Annotated[str, Setting(short="m")] = "vsc-tiny"
    """vsc-tiny, a hub id or a folder."""
    revision: str | None = None
    """Revision of a hub model."""
    trust_remote_code: bool = False
    """Run code that comes with the model."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; auto is the checkpoint's own."""
    max_pixels: int | None = Field(default=None, ge=1)
    """Largest picture of the processor, in pixels."""
    min_pixels: int | None = Field(default=None, ge=1)
    """Smallest picture of the processor, in pixels."""
    attn_implementation: str | None = None
    """Attention of transformers, for example sdpa or eager."""
    device: Annotated[str, HOW] = "auto"
    """cpu, cuda, cuda:1; auto is CUDA where there is one."""
    batch_size: Annotated[int | None, Field(ge=1), Setting(how=True, short="b")] = None
    """Prompts a batch; where none is given, the backend's own number (16, with vLLM 128)."""

    def loading(self) -> dict[str, Any]:
        """The arguments of `load_vlm` besides the model's name."""
        return {name: value for name, value in self.part(ModelSpec).items() if name not in ("model", "batch_size")}


class EngineSpec(ModelSpec):
    """A model, and what runs it under edits."""

    backend: Annotated[BackendName, HOW] = "hf"
    """What answers: hf is transformers; vllm, or another package's."""
    backend_options: Annotated[dict[str, Any], HOW] = Field(default_factory=dict)
    """Argument of the backend: of vLLM's own, such as tensor_parallel_size=2, or of another package's."""
    engine_mode: Annotated[Literal["auto", "shared", "hooks"], HOW] = "auto"
    """Of transformers: layers below the edit once for all conditions, or a plain run with hooks for each."""
    memory_gb: Annotated[float | None, Field(gt=0), HOW] = None
    """Of transformers: bound on what a batch keeps for all conditions, in GiB."""

    hf_only: ClassVar[tuple[str, ...]] = ("engine_mode", "memory_gb")
    """Fields without effect where another backend answers."""

    @model_validator(mode="after")
    def _backend_fits(self) -> Self:
        if self.backend == "hf" and self.backend_options:
            raise ValueError("backend_options: the backend hf has none; arguments of vLLM go with the backend vllm")
        backend = BACKENDS.get(self.backend)
        for name in () if backend.needs_weights else self.hf_only:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: it is not of the backend {self.backend}")
        backend.check_options(self.backend_options)
        return self

    def identity(self) -> dict[str, Any]:
        """The fields that say what. Another backend than transformers counts, with those of its arguments that may
        change an answer by more than rounding."""
        found = super().identity()
        counting = BACKENDS.get(self.backend).options_that_count(self.backend_options)
        return found if self.backend == "hf" else {**found, "backend": self.backend, "backend_options": counting}

    def answering(self) -> dict[str, Any]:
        """The arguments of `open_session` that say what runs the model."""
        return {
            "batch_size": self.batch_size,
            "memory_budget_bytes": self.memory_bytes,
            "mode": self.engine_mode,
            "backend": self.backend,
            "options": self.backend_options,
        }

    @property
    def memory_bytes(self) -> int | None:
        """`memory_gb` in bytes."""
        return None if self.memory_gb is None else int(self.memory_gb * 2**30)


class AskSpec(Settings):
    """What is asked, under which conditions, and how answers are read."""

    intervention: str | None = None
    """Name or folder of the intervention; unless given, the one named like the model, if there is one."""
    tasks: Annotated[tuple[str, ...], Setting(short="t")] = ("vsc",)
    """Tasks, tags, groups or task files."""
    include_path: Annotated[tuple[Path, ...], HOW] = ()
    """Folder with more task files."""
    data_dir: Annotated[Path | None, HOW] = None
    """Folder with local copies of external data sets."""
    override: Annotated[tuple[str, ...], Setting(whole=True)] = ()
    """Key of a task file set anew: cvbench.dataset.revision=main."""
    conditions: Annotated[tuple[str, ...], Setting(how=True, short="c")] = (BASELINE,)
    """Conditions (counting, counting+logic:scale=2) and grids of them (counting:scale=0,0.5,1); the baseline is always
    run."""
    sweep_file: Annotated[Path | None, HOW] = None
    """YAML with conditions written out in full; they come after the others."""
    n: Annotated[ItemsPerCell | None, Setting(short="n")] = None
    """Items of each cell of the synthetic benchmark, a multiple of 4; unless given, the task files' own number."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many items of each task."""
    scoring: Literal["loglikelihood", "generate"] = "loglikelihood"
    """Log-likelihood of the option letters, or generated text."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """Of the scoring `generate`; unless given, what the task file says."""

    @field_validator("conditions")
    @classmethod
    def _grids_written_out(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for expression in given for name in expand_condition(expression))

    @field_validator("override")
    @classmethod
    def _each_key_once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        keys = [change.partition("=")[0].strip() for change in given]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"'{twice[0]}' is set twice")
        return given

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> Self:
        if not self.tasks:
            raise ValueError("tasks: no task is named")
        if self.max_new_tokens is not None and self.scoring != "generate":
            raise ValueError(
                "max_new_tokens: it is of the scoring `generate`; the scoring `loglikelihood` writes no tokens"
            )
        return self


class TaskTypesSpec(Settings):
    """Which part of the synthetic benchmark is used."""

    tasks: Annotated[tuple[str, ...], Setting(short="t")] = TASKS
    """Task types of the synthetic benchmark; all unless given."""

    @field_validator("tasks")
    @classmethod
    def _known_and_once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for task in given:
            SYNTHETIC_TASKS.valid(task)
        if not given or len(set(given)) != len(given):
            raise ValueError(f"{list(given)}: name at least one task, and each only once")
        return given


class ResamplingSpec(Settings):
    """How finely intervals and tests are drawn. The defaults are those of `stats.bootstrap`, which loads scipy."""

    draws: int = Field(default=2_000, ge=100)
    """Draws of the cluster bootstrap."""
    permutations: int = Field(default=10_000, ge=100)
    """Draws of the sign-flip test."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of the intervals."""


class StatisticsSpec(ResamplingSpec):
    """How intervals and tests are computed."""

    correction: Literal["holm", "bh"] = "holm"
    """How p are adjusted for the number of tests."""
    seed: Seed = 0
    """Of the bootstrap and of the tests, each through a stream of its own."""
