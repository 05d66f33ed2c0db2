"""Backends by name: what can run a model and answer.

Another package adds one by an entry point of the group `vsc_eval.backends` (see vsc_eval.registry); `--backend` and the
specs then know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import AfterValidator

from vsc_eval.registry import Registry

if TYPE_CHECKING:
    from vsc_eval.backends.hf.load import LoadedVLM
    from vsc_eval.backends.protocol import AnswerEngine
    from vsc_eval.sae.model import SAE


Mode = Literal["auto", "shared", "hooks"]


@dataclass(frozen=True)
class EngineSettings:
    """How to compute. A backend leaves alone what it does not know."""

    batch_size: int | None = None
    """Prompts a batch; None: the backend's own number."""
    mode: Mode = "auto"
    """Of transformers."""
    memory_budget_bytes: int | None = None
    """Of transformers: bound on the engine's stacks."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The backend's own (of vLLM: its arguments)."""


class MakeEngine(Protocol):
    def __call__(self, vlm: LoadedVLM, *, sae: SAE | None, layer: int | None, settings: EngineSettings) -> AnswerEngine:
        """An engine for a model, the baseline and the edits of one layer (`sae` and `layer`: both or neither).

        Raises SpecError, DataError or BackendError for what does not fit.
        """
        ...


@dataclass(frozen=True)
class Backend:
    """One way to run models. Its engine is a vsc_eval.backends.protocol.AnswerEngine."""

    name: str
    make: MakeEngine
    needs_weights: bool
    """Whether the engine works on transformers' model, which is otherwise loaded as a shell without weights."""
    check_options: Callable[[Mapping[str, Any]], None] = lambda options: None
    """Raises SpecError for options that are not the user's to set."""
    options_that_count: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    """Those that may change an answer by more than rounding: a run goes on only with the same."""
    attempt: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda options: {"options": dict(options)}
    """What run.yaml says of the backend in one attempt: versions, options."""


BACKENDS: Registry[Backend] = Registry(
    "backend",
    "vsc_eval.backends",
    {"hf": "vsc_eval.backends.hf:HF", "vllm": "vsc_eval.backends.vllm.start:VLLM"},
    Backend,
)

BackendName = Annotated[str, AfterValidator(BACKENDS.valid)]
"""A backend's name in a spec."""
