"""One model, asked freely: any picture, any text, with or without an edit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from vsc_eval.api.activations import Images, pictures
from vsc_eval.api.intervention import Condition, Given, Intervention, load_intervention, one_intervention
from vsc_eval.backends.ask import Session, open_session
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.backends.registry import BACKENDS
from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import compile_condition
from vsc_eval.mistakes import validated
from vsc_eval.records import Reading
from vsc_eval.settings import EngineSpec
from vsc_eval.specs import BASELINE, Spec

F = TypeVar("F", bound=Callable[..., Any])


class Model:
    """A model that is loaded once and asked many times; `load_model` makes one.

    Answers come through the engine of runs and studies, so an item of a run, asked here, gets the run's answer (in a
    batch of its own: outside float32 sums may differ in their last bits).
    """

    def __init__(self, spec: EngineSpec, vlm: LoadedVLM) -> None:
        self.spec = spec
        """With what settings it was loaded."""
        self.vlm = vlm
        """transformers' model, processor and tokenizer; without weights where vLLM answers."""
        self._condition: Condition | None = None
        self._session: tuple[Intervention | None, Session] | None = None

    @property
    def name(self) -> str:
        """As it was named."""
        return self.spec.model

    @cached_property
    def _own_intervention(self) -> Intervention:
        return load_intervention(Path(self.name).name)

    @contextmanager
    def edited(self, condition: Given, intervention: Intervention | None = None) -> Iterator[Model]:
        """While the block runs, `generate` and `option_logprobs` answer under that condition.

        An expression ("counting:scale=4") is of `intervention`, by default the one named like the model. The edit is
        attached for each forward and taken off after it, whatever happens there. Edits do not nest: SpecError. Raises
        SpecError, too, for an unknown set, and DataError for an SAE of another width than the model's.
        """
        if self._condition is not None:
            raise SpecError(
                f"The model is under '{self._condition}' already, and edits do not nest.",
                hint="Leave that block first, or combine the sets: (a + b).scale(4).",
            )
        own = one_intervention([condition], intervention) or self._own_intervention
        made = condition if isinstance(condition, Condition) else Condition(str(condition), own)
        self._open(made)
        self._condition = made
        try:
            yield self
        finally:
            self._condition = None

    def generate(self, image: Images, text: str, *, max_new_tokens: int = 64) -> str:
        """The model's answer to the picture and the text, through its chat template: greedy, special tokens left out.

        Raises SpecError for edits of tokens that the prompt lacks, DataError for a picture that cannot be read or a
        prompt longer than the model's context.
        """
        settings = GenSettings(scoring="generate", max_new_tokens=max_new_tokens)
        answer = self._read(Prompt(text, pictures(image)), settings).text
        assert answer is not None
        return answer

    def option_logprobs(self, image: Images, question: str, options: Sequence[str] = ("A", "B", "C", "D")) -> pd.Series:
        """Log-probability of each option at the first answer token, in nats, over the whole vocabulary.

        Float64 [options], indexed by option. Every option must be one token there: BackendError. Raises else as
        `generate`.

        Examples:
            >>> import vsc_eval as vsc
            >>> item = vsc.find_item("test/counting/easy/00000/A")
            >>> vsc.load_model("vsc-tiny").option_logprobs(item.image(), item.prompt).round(2).to_dict()
            {'A': -0.02, 'B': -4.29, 'C': -7.02, 'D': -7.15}
        """
        prompt = Prompt(question, pictures(image), tuple(options))
        found = self._read(prompt, GenSettings(scoring="loglikelihood")).option_logprobs
        return pd.Series(found, index=pd.Index(options, name="option"), name="logprob", dtype=float)

    def release(self) -> None:
        """Let go of what answered here, but not of the model: vLLM holds most of an accelerator's memory, which a run
        needs for its own. It starts again with the next question."""
        self._session = None

    def _read(self, prompt: Prompt, settings: GenSettings) -> Reading:
        name = BASELINE if self._condition is None else str(self._condition)
        return self._open(self._condition).answers([prompt], [name], settings)[name][0]

    def _open(self, condition: Condition | None) -> Session:
        """A session that has the condition. It is kept: to start vLLM takes a minute, and it edits with one SAE."""
        own = None if condition is None else condition.intervention
        if self._session is None or own not in (None, self._session[0]):
            self._session = None
            opened = open_session(
                self.vlm,
                [] if condition is None else [condition.spec],
                intervention=own,
                # One prompt at a time gains nothing from shared layers, whose self-check costs some forwards.
                **{**self.spec.answering(), "batch_size": 1, "mode": "hooks"},
            )
            self._session = own, opened
        session = self._session[1]
        if condition is not None and own is not None and condition not in session.conditions:
            compiled = compile_condition(condition.spec, own.sets, own.sae, own.layer, d_model=self.vlm.decoder.d_model)
            session.conditions = {**session.conditions, condition: compiled.to(self.vlm.device)}
        return session

    def __repr__(self) -> str:
        decoder = self.vlm.decoder
        where = self.spec.backend if self.spec.backend != "hf" else str(self.vlm.device)
        dtype = str(self.vlm.dtype).removeprefix("torch.")
        return f"Model('{self.name}', {decoder.n_layers} layers of width {decoder.d_model}, {dtype} on {where})"


def takes(model: type[Spec]) -> Callable[[F], F]:
    """Shows the fields of `model`, with what they say of themselves, as keyword arguments of a function that takes
    `**settings`: in its help and where an editor completes names."""

    def shown(function: F) -> F:
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = {name: field for name, field in model.model_fields.items() if name not in {p.name for p in own}}
        defaults = {name: field.get_default(call_default_factory=True) for name, field in added.items()}
        keywords = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=field.annotation)
            for name, field in added.items()
        ]
        function.__signature__ = inspect.Signature([*own, *keywords])  # type: ignore[attr-defined]
        words = [f"    {n}: {' '.join((f.description or '').split())} ({defaults[n]!r})" for n, f in added.items()]
        function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Settings, with their defaults:", *words])
        return function

    return shown


@takes(EngineSpec)
def load_model(model: str | Path = "vsc-tiny", **settings: Any) -> Model:
    """Load `vsc-tiny`, a model folder or a hub id.

    settings: those of the command line that are a model's, with its defaults (dtype, device, backend, ...); see
    vsc_eval.settings.EngineSpec.

    Raises SpecError for an unknown model or setting, DataError for a damaged folder, BackendError for a model that is
    no VLM, for pickled weights and for an unreachable hub.

    Examples:
        >>> import vsc_eval as vsc
        >>> vsc.load_model("vsc-tiny", device="cpu")
        Model('vsc-tiny', 6 layers of width 192, float32 on cpu)
    """
    spec = validated(EngineSpec, {"model": str(model), **settings}, "load_model")
    return Model(spec, load_vlm(spec.model, weights=BACKENDS.get(spec.backend).needs_weights, **spec.loading()))
