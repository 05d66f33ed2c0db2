"""What a backend must offer for its answers to be stored, resumed and scored like any other's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from vsc_eval.backends.hf.engine import GenSettings
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading


class AnswerEngine(Protocol):
    """One model, many conditions. hf.engine runs it with transformers, vllm.engine in vLLM; see registry.py."""

    batch_size: int
    """Half the number of prompts that are answered between two commits to the store."""

    @property
    def answer_mark(self) -> str:
        """Tells this backend's answers from others' in the store's keys; empty for transformers."""
        ...

    def read(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition | None],
        settings: GenSettings,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Reading]]:
        """Readings [conditions][prompts]; see Engine.read."""
        ...

    def option_ids(self, options: tuple[str, ...]) -> tuple[int, ...]:
        """Token ids of option letters."""
        ...
