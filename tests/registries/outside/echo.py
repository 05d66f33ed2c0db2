"""A backend: answers everything with one word, whatever the model and the edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.backends.registry import Backend, EngineSettings
from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE


class EchoEngine(AnswerEngine):
    def __init__(self, vlm: LoadedVLM, sae: SAE | None, layer: int | None, batch_size: int, word: str) -> None:
        super().__init__(vlm, sae, layer, batch_size)
        self.word = word
        self.answer_mark = f"echo-{word}"

    def answer(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition],
        settings: GenSettings,
        progress: Callable[[int], None],
    ) -> list[list[Reading]]:
        return [[self._reading(prompt, condition, settings) for prompt in prompts] for condition in (None, *conditions)]

    def _reading(self, prompt: Prompt, condition: CompiledCondition | None, settings: GenSettings) -> Reading:
        likely = [self.word == option for option in prompt.options]
        shift = None if condition is None else 0.0
        return Reading(
            text=self.word if settings.scoring == "generate" else None,
            top_token_id=self.option_ids(prompt.options)[0] if prompt.options else 0,
            option_logprobs=tuple(-0.5 if is_it else -3.0 for is_it in likely) or None,
            kl_options=0.0 if prompt.options else None,
            kl_vocab=0.0,
            shift_edited=shift,
            shift_last=shift,
            n_edited_tokens=0 if condition is None else 1,
            n_fires=0 if condition is None else 1,
        )


def _check(options: Mapping[str, Any]) -> None:
    if strangers := set(options) - {"word"}:
        raise SpecError(f"echo has no option {', '.join(sorted(strangers))}.", hint="It has: word.")


def _make(vlm: LoadedVLM, *, sae: SAE | None, layer: int | None, settings: EngineSettings) -> EchoEngine:
    _check(settings.options)
    return EchoEngine(vlm, sae, layer, settings.batch_size or 8, str(settings.options.get("word", "A")))


ECHO = Backend("echo", _make, needs_weights=False, check_options=_check)
