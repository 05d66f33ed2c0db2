"""What a backend must offer for its answers to be stored, resumed and scored like any other's."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, option_token_ids, prompt_head
from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import BASELINE_HASH, CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE, check_width


@dataclass(frozen=True)
class GenSettings:
    """What is read from the model."""

    scoring: Literal["loglikelihood", "generate"]
    """`loglikelihood`: log-probabilities of the option letters after one forward; `generate`: greedy text as well."""
    max_new_tokens: int = 8

    def __post_init__(self) -> None:
        if self.scoring == "generate" and self.max_new_tokens < 1:
            raise SpecError(f"max_new_tokens is {self.max_new_tokens}.", hint="Give at least 1.")

    @property
    def new_tokens(self) -> int | None:
        """None for a scoring that generates nothing."""
        return self.max_new_tokens if self.scoring == "generate" else None


class AnswerEngine(ABC):
    """One model, many conditions. hf.engine runs it with transformers, vllm.engine in vLLM; see registry.py.

    What is wrong with a request, and that everything is asked once, is known here; how to ask is the backend's.
    """

    batch_size: int
    """Half the number of prompts that are answered between two commits to the store."""
    answer_mark: str = ""
    """Tells this backend's answers from others' in the store's keys; empty for transformers."""
    option_ids: Callable[[tuple[str, ...]], tuple[int, ...]]
    """Token ids of option letters, looked up once."""

    def __init__(self, vlm: LoadedVLM, sae: SAE | None, layer: int | None, batch_size: int) -> None:
        """Raises SpecError for a layer the model lacks or an option out of range, DataError for an SAE of another
        width, BackendError for an encoder-decoder."""
        if batch_size < 1:
            raise SpecError("batch_size must be at least 1.", hint="Give a positive number.")
        if (sae is None) != (layer is None):
            raise SpecError("An SAE and a layer go together.", hint="Give both, or neither for the baseline alone.")
        if layer is not None:
            vlm.decoder.check_layer(layer)
        if sae is not None:
            check_width(sae.cfg, vlm.decoder.d_model)
        self.vlm = vlm
        self.sae = sae
        self.layer = layer
        self.batch_size = batch_size
        self.option_ids = cache(partial(option_token_ids, vlm))

    def read(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition | None],
        settings: GenSettings,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Reading]]:
        """Readings [conditions][prompts], in the order given; None is the baseline, which runs in any case.

        Conditions of equal content run once. `progress` is called with a number of prompts that are answered under all
        conditions. Raises SpecError for a condition of another layer, for edits of tokens that a prompt lacks and for
        the `loglikelihood` scoring of a prompt without options, DataError for a prompt that is too long, BackendError
        where the model cannot do what is asked.
        """
        for prompt in prompts:
            if settings.scoring == "loglikelihood" and not prompt.options:
                raise SpecError(
                    f"The prompt '{prompt_head(prompt)}' has no options to choose from.",
                    hint="Use the `generate` scoring for it.",
                )
        edited: dict[str, CompiledCondition] = {}
        for condition in conditions:
            if condition is not None and not condition.spec.is_baseline:
                self._check_edit(condition)
                edited.setdefault(condition.content_hash, condition)
        if not prompts:
            return [[] for _ in conditions]
        answers = self.answer(prompts, list(edited.values()), settings, progress or (lambda n: None))
        by_hash = dict(zip([BASELINE_HASH, *edited], answers, strict=True))
        return [list(by_hash[BASELINE_HASH if c is None else c.content_hash]) for c in conditions]

    @abstractmethod
    def answer(
        self,
        prompts: Sequence[Prompt],
        conditions: Sequence[CompiledCondition],
        settings: GenSettings,
        progress: Callable[[int], None],
    ) -> list[list[Reading]]:
        """Readings [baseline, *conditions][prompts] of one prompt or more under edits of different content."""

    def _check_edit(self, condition: CompiledCondition) -> None:
        if condition.layer != self.layer:
            raise SpecError(
                f"Condition '{condition.name}' edits layer {condition.layer}; the engine edits layer {self.layer}.",
                hint="Use conditions of one intervention with its own SAE and layer.",
            )
