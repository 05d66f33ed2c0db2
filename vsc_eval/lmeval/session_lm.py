"""An lm-eval model that answers from a session; `lm.py` makes it from command-line arguments, a sweep directly.

lm-eval's requests become our prompts and settings; what would be answered wrongly is refused.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm  # type: ignore[import-untyped]

from vsc_eval.backends.ask import Session, ask
from vsc_eval.backends.hf.engine import EngineWarning
from vsc_eval.backends.hf.prompts import Prompt, option_token_ids
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.lmeval.scoring import option_letters
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE
from vsc_eval.taskfiles.rows import IMAGE_SLOT

DocKey = tuple[str, int]
"""lm-eval's (task name, document number)."""

DEFAULT_MAX_NEW_TOKENS = 256
"""Of a task that does not say; lm-eval's own default."""

_LENGTH_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
# With greedy decoding these change nothing.
_SAMPLING_NAMES = ("temperature", "top_p", "top_k", "min_p")
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "do_sample": (False, None),
    "num_beams": (1, None),
    "use_cache": (True, None),
}


@dataclass(frozen=True)
class Question:
    """What a document was asked."""

    prompt: Prompt
    settings: GenSettings
    stops: tuple[str, ...] = ()


class SessionLM(LM):  # type: ignore[misc]
    """An lm-eval model that answers from a session, under one of its conditions.

    Documents marked `vsc_paired` are answered under the baseline and under the condition (see `conditions_of`).
    `images_first` allows tasks whose text has its pictures in the middle. `in_sweep`: it remembers what each document
    was asked, so that all answers can be found again; under the baseline, with which a sweep begins, all conditions of
    the session are asked, and the others then find their answers stored.
    """

    MULTIMODAL = True

    def __init__(
        self, session: Session, condition: str = BASELINE, *, images_first: bool = False, in_sweep: bool = False
    ) -> None:
        super().__init__()
        if condition not in session.conditions:
            hint = f"This session has: {', '.join(session.conditions)}."
            raise SpecError(f"Unknown condition '{condition}'.", hint=hint)
        self.session = session
        self.condition = condition
        self.images_first = images_first
        self.in_sweep = in_sweep
        self.questions: dict[DocKey, Question] = {}
        self._device = session.vlm.device
        self._letters: dict[tuple[str, ...], tuple[str, ...]] = {}

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The text answers. Raises SpecError or BackendError for a request that cannot be answered as it is meant."""
        # The two requests of a pair are one object; its picture is then drawn and hashed once.
        made = {key: self._text_question(request) for key, request in {id(r): r for r in requests}.items()}
        questions = [made[id(request)] for request in requests]
        readings = self._read(requests, questions, disable_tqdm)
        return [cut(reading.text or "", asked.stops) for asked, reading in zip(questions, readings, strict=True)]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood, is greedy) of one-token answers: all options of a question in one forward. Raises
        BackendError for an answer of several tokens."""
        groups: dict[tuple[str | None, int | None, str], list[Instance]] = defaultdict(list)
        for request in requests:
            groups[_place(request)].append(request)
        made = {key: self._option_question(group) for key, group in groups.items()}
        questions = [made[_place(request)] for request in requests]
        found = []
        readings = self._read(requests, questions, disable_tqdm)
        for request, asked, reading in zip(requests, questions, readings, strict=True):
            assert reading.option_logprobs is not None
            options = asked.prompt.options
            place = options.index(_answer(request))
            is_greedy = self.session.engine.option_ids(options)[place] == reading.top_token_id
            found.append((reading.option_logprobs[place], is_greedy))
        return found

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> NoReturn:
        """Not supported: an edit is defined on a prompt, and rolling likelihoods have none."""
        raise BackendError(
            f"Task '{requests[0].task_name}' measures the likelihood of running text; vsc-eval answers questions.",
            hint="Use lm-eval's own model `hf` for perplexity tasks.",
        )

    def _read(self, requests: Sequence[Instance], asked: Sequence[Question], disable_tqdm: bool) -> list[Reading]:
        """One reading for each request, under its condition."""
        conditions = conditions_of(requests, self.condition)
        found: dict[tuple[int, str], Reading] = {}
        for settings in dict.fromkeys(question.settings for question in asked):
            pairs = [(q.prompt, name) for q, name in zip(asked, conditions, strict=True) if q.settings == settings]
            found |= self._read_alike(pairs, settings, disable_tqdm)
        if self.in_sweep:
            self._remember(requests, asked)
        return [found[id(question.prompt), name] for question, name in zip(asked, conditions, strict=True)]

    def _read_alike(
        self, wanted: Sequence[tuple[Prompt, str]], settings: GenSettings, disable_tqdm: bool
    ) -> dict[tuple[int, str], Reading]:
        """The reading of each (prompt, condition), by the prompt's id."""
        prompts = list({id(prompt): prompt for prompt, _ in wanted}.values())
        names = list(dict.fromkeys(name for _, name in wanted))
        together = list(self.session.conditions) if self.in_sweep and self.condition == BASELINE else names
        found: dict[tuple[int, str], Reading] = {}

        def collect(places: Sequence[int], answers: Mapping[str, Sequence[Reading]]) -> None:
            for name in answers.keys() & names:
                found.update(((id(prompts[at]), name), read) for at, read in zip(places, answers[name], strict=True))

        with tqdm(total=0, desc="Answers", disable=disable_tqdm or self.session.progress is not None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            progress = self.session.progress or show
            ask(self.session, prompts, together, settings=settings, collect=collect, progress=progress)
        return found

    def _remember(self, requests: Sequence[Instance], questions: Sequence[Question]) -> None:
        for request, question in zip(requests, questions, strict=True):
            assert request.task_name is not None
            assert request.doc_id is not None
            self.questions[request.task_name, request.doc_id] = question
            # lm-eval's log would hold the sha256 of a PNG of every picture, anew for each option and condition.
            if len(request.args) > 2 and request.args[2].get("visual"):
                visual = [f"pixels:{question.prompt.image_hash}"]
                request.arguments = (*request.args[:2], {**request.args[2], "visual": visual})

    def _text_question(self, request: Instance) -> Question:
        """What a request for text asks; with its document's letters, if each is one token, for their distribution."""
        settings, stops = gen_settings(request.task_name, request.args[1])
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
        prompt = to_prompt(request, options=self._letters[letters], images_first=self.images_first)
        return Question(prompt, settings, stops)

    def _option_question(self, group: Sequence[Instance]) -> Question:
        options = tuple(dict.fromkeys(_answer(request) for request in group))
        try:
            option_token_ids(self.session.vlm, options)
        except BackendError as error:
            raise BackendError(
                f"Task '{group[0].task_name}': {error.message}",
                hint="Answers of one token are scored; use a variant of the task that asks for a letter or a text.",
            ) from error
        prompt = to_prompt(group[0], options=options, images_first=self.images_first)
        return Question(prompt, GenSettings(scoring="loglikelihood"))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text of the one user turn: the engine applies the template itself, always. Raises BackendError for more
        turns than one and for a begun answer."""
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


def _place(request: Instance) -> tuple[str | None, int | None, str]:
    return request.task_name, request.doc_id, request.args[0]


def _answer(request: Instance) -> str:
    """A continuation without the blank that lm-eval puts before it where no chat template is applied."""
    answer: str = request.args[1]
    return answer.strip()


def to_prompt(request: Instance, *, options: Sequence[str] = (), images_first: bool = False) -> Prompt:
    """The prompt of a request whose arguments are (context, ..., {"visual": images}) or (context, ...). Pictures go
    before the text. A text that puts one elsewhere is refused unless `images_first`. Raises BackendError."""
    context, extras = request.args[0], request.args[2] if len(request.args) > 2 else {}
    if not context:
        raise BackendError(
            f"Task '{request.task_name}' asks for the likelihood of an answer without a question.",
            hint="Leave out its metric acc_mutual_info.",
        )
    if extras.get("audio"):
        raise BackendError(f"Task '{request.task_name}' has audio.", hint="vsc-eval takes text and pictures only.")
    images = tuple(extras.get("visual") or ())
    if not images:
        return Prompt(text=context, options=tuple(options))
    slots = context.count(IMAGE_SLOT)
    if slots not in (0, len(images)):
        raise BackendError(
            f"Task '{request.task_name}' has {slots} `{IMAGE_SLOT}` slots but {len(images)} pictures. lm-eval hands"
            " over the pictures of the question only, not those of few-shot examples.",
            hint="Run it with --num_fewshot 0.",
        )
    text = context
    for _ in range(slots):
        text = text.lstrip().removeprefix(IMAGE_SLOT)
    if IMAGE_SLOT in text:
        if not images_first:
            raise BackendError(
                f"Task '{request.task_name}' has pictures inside its text; vsc-eval puts them before it.",
                hint="Allow that with --model_args ...,images_first=true, and say so beside the result.",
            )
        text = context.replace(IMAGE_SLOT, " ")
    return Prompt(text=text.lstrip() if slots else text, images=images, options=tuple(options))


def gen_settings(task: str | None, gen_kwargs: Mapping[str, Any]) -> tuple[GenSettings, tuple[str, ...]]:
    """Settings and stop strings of a `generate_until` request. Raises SpecError for what is not greedy decoding."""
    kwargs = dict(gen_kwargs)
    until = kwargs.pop("until", None) or ()
    stops = (until,) if isinstance(until, str) else tuple(stop for stop in until if stop)
    lengths = [kwargs.pop(name) for name in _LENGTH_NAMES if name in kwargs]
    for name, neutral in _NEUTRAL.items():
        value = kwargs.pop(name, None)
        if value not in neutral:
            raise SpecError(
                f"Task '{task}' asks for {name}={value}; decoding is greedy: a changed answer is then the edit's.",
                hint=f"Run it with --gen_kwargs {name}={neutral[0]}.",
            )
    for name in _SAMPLING_NAMES:
        kwargs.pop(name, None)
    if kwargs:
        raise SpecError(
            f"Task '{task}' has unknown generation arguments: {', '.join(sorted(kwargs))}.",
            hint=f"Known: until, do_sample, {_LENGTH_NAMES[0]}.",
        )
    length = int(lengths[0]) if lengths else DEFAULT_MAX_NEW_TOKENS
    return GenSettings(scoring="generate", max_new_tokens=length), stops


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first stop string."""
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]


def conditions_of(requests: Sequence[Instance], condition: str) -> list[str]:
    """Under which condition each request is to be answered.

    lm-eval asks a task with `repeats: 2` by putting each request into the list twice, the same object both times. For
    documents marked `vsc_paired` the first is answered without the edit and the second with it; all others get
    `condition`. Raises SpecError for a paired task that does not repeat twice, or if `condition` is the baseline.
    """
    seen: Counter[int] = Counter()
    names = []
    for request in requests:
        if not (isinstance(request.doc, Mapping) and request.doc.get("vsc_paired")):
            names.append(condition)
            continue
        if request.repeats != 2:
            raise SpecError(
                f"Task '{request.task_name}' is paired but has repeats: {request.repeats}.",
                hint="Write `repeats: 2` and the filter take_first_k with k: 2 in its file.",
            )
        if condition == BASELINE:
            raise SpecError(
                f"Task '{request.task_name}' compares answers without and with an edit, but none was given.",
                hint="Add condition=SET to --model_args; `SET:scale=1` is the null control.",
            )
        names.append(condition if seen[id(request)] % 2 else BASELINE)
        seen[id(request)] += 1
    return names
