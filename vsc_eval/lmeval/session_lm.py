"""An lm-eval model that answers from a session; `lm.py` makes it from command-line arguments, a sweep directly."""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm  # type: ignore[import-untyped]

from vsc_eval.backends.ask import Session, ask
from vsc_eval.backends.hf.engine import EngineWarning
from vsc_eval.backends.hf.prompts import Prompt, option_token_ids
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.lmeval.requests import conditions_of, cut, gen_settings, to_prompt
from vsc_eval.lmeval.scoring import option_letters
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE


class SessionLM(LM):  # type: ignore[misc]
    """An lm-eval model that answers from a session, under one of its conditions.

    Documents marked `vsc_paired` are answered under the baseline and under the condition (see
    `requests.conditions_of`). `images_first` allows tasks whose text has its pictures in the middle.
    """

    MULTIMODAL = True

    def __init__(self, session: Session, condition: str = BASELINE, *, images_first: bool = False) -> None:
        super().__init__()
        if condition not in session.conditions:
            hint = f"This session has: {', '.join(session.conditions)}."
            raise SpecError(f"Unknown condition '{condition}'.", hint=hint)
        self.session = session
        self.condition = condition
        self.images_first = images_first
        self._device = session.vlm.device
        self._letters: dict[tuple[str, ...], tuple[str, ...]] = {}

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The text answers. Raises SpecError or BackendError for a request that cannot be answered as it is meant."""
        conditions = conditions_of(requests, self.condition)
        by_settings: dict[GenSettings, list[int]] = defaultdict(list)
        stops = {}
        for row, request in enumerate(requests):
            settings, stops[row] = gen_settings(request.task_name, request.args[1])
            by_settings[settings].append(row)
        # The two requests of a pair are one object; its picture is then drawn and hashed once.
        prompts = {key: self._text_prompt(request) for key, request in {id(r): r for r in requests}.items()}
        answers = [""] * len(requests)
        for settings, rows in by_settings.items():
            wanted = [(prompts[id(requests[row])], conditions[row]) for row in rows]
            readings = self._read(wanted, settings, disable_tqdm)
            for row, reading, (prompt, _) in zip(rows, readings, wanted, strict=True):
                assert reading.text is not None
                answers[row] = cut(reading.text, stops[row])
                self._answered(requests[row], prompt, settings, stops[row])
        return answers

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood, is greedy) of one-token answers: all options of a question in one forward.

        Raises BackendError for an answer of several tokens.
        """
        conditions = conditions_of(requests, self.condition)
        questions: dict[tuple[str | None, int | None, str], list[Instance]] = defaultdict(list)
        for request in requests:
            questions[_question(request)].append(request)
        prompts = {key: self._option_prompt(group) for key, group in questions.items()}
        asked = [(request, prompts[_question(request)]) for request in requests]
        wanted = [(prompt, name) for (_, prompt), name in zip(asked, conditions, strict=True)]
        settings = GenSettings(scoring="loglikelihood")
        readings = self._read(wanted, settings, disable_tqdm)
        found = []
        for (request, prompt), reading in zip(asked, readings, strict=True):
            assert reading.option_logprobs is not None
            place = prompt.options.index(_answer(request))
            is_greedy = self.session.engine.option_ids(prompt.options)[place] == reading.top_token_id
            found.append((reading.option_logprobs[place], is_greedy))
            self._answered(request, prompt, settings)
        return found

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> NoReturn:
        """Not supported: an edit is defined on a prompt, and rolling likelihoods have none."""
        raise BackendError(
            f"Task '{requests[0].task_name}' measures the likelihood of running text; vsc-eval answers questions.",
            hint="Use lm-eval's own model `hf` for perplexity tasks.",
        )

    def _answered(self, request: Instance, prompt: Prompt, settings: GenSettings, stops: tuple[str, ...] = ()) -> None:
        """Called with what was asked once it is answered; for subclasses that look at more than the answers."""

    def _read(self, wanted: Sequence[tuple[Prompt, str]], settings: GenSettings, disable_tqdm: bool) -> list[Reading]:
        """One reading for each (prompt, condition)."""
        prompts = list({id(prompt): prompt for prompt, _ in wanted}.values())
        names = list(dict.fromkeys(name for _, name in wanted))
        found: dict[tuple[int, str], Reading] = {}

        def collect(places: Sequence[int], answers: Mapping[str, Sequence[Reading]]) -> None:
            for name in answers.keys() & names:
                found.update(((id(prompts[at]), name), read) for at, read in zip(places, answers[name], strict=True))

        with tqdm(total=0, desc="Answers", disable=disable_tqdm or self.session.progress is not None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            together = self._asked_together(names)
            progress = self.session.progress or show
            ask(self.session, prompts, together, settings=settings, collect=collect, progress=progress)
        return [found[id(prompt), name] for prompt, name in wanted]

    def _asked_together(self, names: Sequence[str]) -> Sequence[str]:
        """Conditions that are asked when answers under `names` are wanted."""
        return names

    def _text_prompt(self, request: Instance) -> Prompt:
        """The prompt of a request for text; with option letters, if its document has some and the model reads each as
        one token, so that their distribution comes out of the same pass."""
        letters = option_letters(request.doc)
        if letters not in self._letters:
            self._letters[letters] = letters
            try:
                self.session.engine.option_ids(letters)
            except BackendError as error:
                # A text can do without.
                self._letters[letters] = ()
                undefined = "Texts are read as ever; figures on the option letters (KL, margin) stay undefined."
                warnings.warn(f"{error.message} {undefined}", EngineWarning, stacklevel=3)
        return to_prompt(request, options=self._letters[letters], images_first=self.images_first)

    def _option_prompt(self, group: Sequence[Instance]) -> Prompt:
        options = tuple(dict.fromkeys(_answer(request) for request in group))
        try:
            option_token_ids(self.session.vlm, options)
        except BackendError as error:
            raise BackendError(
                f"Task '{group[0].task_name}': {error.message}",
                hint="Answers of one token are scored; use a variant of the task that asks for a letter or a text.",
            ) from error
        return to_prompt(group[0], options=options, images_first=self.images_first)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text of the one user turn: the engine applies the template itself, always.

        Raises BackendError for more turns than one and for a begun answer.
        """
        roles = [message["role"] for message in chat_history]
        if roles != ["user"] or not add_generation_prompt:
            raise BackendError(
                f"vsc-eval asks with one user turn, not with {' + '.join(roles)}.",
                hint="Leave out --apply_chat_template (the template is always applied), or add"
                " --fewshot_as_multiturn false; leave out --system_instruction and the task's gen_prefix.",
            )
        return chat_history[0]["content"]

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template that is applied, for lm-eval's log."""
        if isinstance(chat_template, str):
            hint = "Write --apply_chat_template alone."
            raise SpecError(f"There is no choice of chat templates ('{chat_template}').", hint=hint)
        vlm = self.session.vlm
        return str(getattr(vlm.processor, "chat_template", None) or vlm.tokenizer.chat_template)

    @property
    def tokenizer_name(self) -> str:
        return self.session.vlm.name.replace("/", "__")

    def set_cache_hook(self, cache_hook: object) -> NoReturn:
        """lm-eval calls this for `--use_cache` only."""
        raise BackendError(
            "lm-eval's response cache has neither the model nor the edit in its key, so an edited run would get the"
            " baseline's answers.",
            hint="Leave --use_cache out; with --model_args ...,answers=FILE answers are kept under a key that has all.",
        )

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes into the result file's `config`."""
        vlm, compiled = self.session.vlm, self.session.conditions[self.condition]
        return {
            "model_name": vlm.name,
            "model_fingerprint": vlm.fingerprint,
            "model_revision": vlm.revision,
            "model_dtype": str(vlm.dtype),
            "model_num_parameters": sum(p.numel() for p in vlm.model.parameters()),
            "condition": self.condition,
            "condition_hash": None if compiled is None else compiled.content_hash,
            "layer": None if compiled is None else compiled.layer,
        }


def _question(request: Instance) -> tuple[str | None, int | None, str]:
    return request.task_name, request.doc_id, request.args[0]


def _answer(request: Instance) -> str:
    """A continuation without the blank that lm-eval puts before it where no chat template is applied."""
    answer: str = request.args[1]
    return answer.strip()
