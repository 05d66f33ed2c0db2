"""`vsc-hf`: any Hugging Face VLM in lm-eval, with and without an SAE edit, by the shared-prefix engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm  # type: ignore[import-untyped]

from vsc_eval.errors import BackendError, SpecError
from vsc_eval.harness.requests import conditions_of, cut, gen_settings, to_prompt
from vsc_eval.harness.session import Session, open_session
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE
from vsc_eval.store import AnswerStore
from vsc_eval.vlm.engine import GenSettings
from vsc_eval.vlm.load import load_vlm
from vsc_eval.vlm.prompts import Prompt, option_token_ids

_LM_EVAL_DEVICE = "cuda:0"
_LM_EVAL_BATCH = 1


class SessionLM(LM):  # type: ignore[misc]
    """An lm-eval model that answers from a session, under one of its conditions.

    Documents marked `vsc_paired` are answered under the baseline and under the condition (see
    `requests.conditions_of`). `images_first` allows tasks whose text has its pictures in the middle.
    """

    MULTIMODAL = True

    def __init__(self, session: Session, condition: str = BASELINE, *, images_first: bool = False) -> None:
        super().__init__()
        if condition not in session.conditions:
            raise SpecError(
                f"Unknown condition '{condition}'.", mend=f"This session has: {', '.join(session.conditions)}."
            )
        self.session = session
        self.condition = condition
        self.images_first = images_first
        self._device = session.vlm.device

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The text answers. Raises SpecError or BackendError for a request that cannot be answered as it is meant."""
        conditions = conditions_of(requests, self.condition)
        asked = [gen_settings(request.task_name, request.args[1]) for request in requests]
        by_settings: dict[GenSettings, list[int]] = defaultdict(list)
        for row, (settings, _) in enumerate(asked):
            by_settings[settings].append(row)
        prompts: dict[int, Prompt] = {}
        answers = [""] * len(requests)
        for settings, rows in by_settings.items():
            for row in rows:
                request = requests[row]
                # The two requests of a pair are one object; its picture is then drawn and hashed once.
                if id(request) not in prompts:
                    prompts[id(request)] = to_prompt(request, images_first=self.images_first)
            wanted = [(prompts[id(requests[row])], conditions[row]) for row in rows]
            readings = self._read(wanted, settings, disable_tqdm)
            for row, reading in zip(rows, readings, strict=True):
                assert reading.text is not None
                answers[row] = cut(reading.text, asked[row][1])
        return answers

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood, is greedy) of one-token answers: all options of a question in one forward.

        Raises BackendError for an answer of several tokens.
        """
        conditions = conditions_of(requests, self.condition)
        questions: dict[tuple[str | None, int | None, str], list[Instance]] = defaultdict(list)
        for request in requests:
            group = questions[_question(request)]
            if not any(known is request for known in group):
                group.append(request)
        prompts = {key: self._option_prompt(group) for key, group in questions.items()}
        wanted = [(prompts[_question(r)], name) for r, name in zip(requests, conditions, strict=True)]
        readings = self._read(wanted, GenSettings(readout="choice"), disable_tqdm)
        places = [prompt.options.index(_answer(r)) for (prompt, _), r in zip(wanted, requests, strict=True)]
        return [
            (_logprobs(reading)[place], self.session.engine.option_ids(prompt.options)[place] == reading.top_token_id)
            for (prompt, _), reading, place in zip(wanted, readings, places, strict=True)
        ]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> NoReturn:
        """Not supported: an edit is defined on a prompt, and rolling likelihoods have none."""
        raise BackendError(
            f"Task '{requests[0].task_name}' measures the likelihood of running text; vsc-hf answers questions.",
            mend="Use lm-eval's own model `hf` for perplexity tasks.",
        )

    def _read(self, wanted: Sequence[tuple[Prompt, str]], settings: GenSettings, disable_tqdm: bool) -> list[Reading]:
        """One reading for each (prompt, condition)."""
        rows = {id(prompt): prompt for prompt, _ in wanted}
        place = {key: index for index, key in enumerate(rows)}
        names = list(dict.fromkeys(name for _, name in wanted))
        with tqdm(total=0, desc="Answers", disable=disable_tqdm) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            found = self.session.readings(
                list(rows.values()), names, settings=settings, progress=self.session.progress or show
            )
        return [found[name][place[id(prompt)]] for prompt, name in wanted]

    def _option_prompt(self, group: Sequence[Instance]) -> Prompt:
        options = tuple(dict.fromkeys(_answer(request) for request in group))
        try:
            option_token_ids(self.session.vlm, options)
        except BackendError as error:
            raise BackendError(
                f"Task '{group[0].task_name}': {error.message}",
                mend="vsc-hf scores answers of one token; use a variant of the task that asks for a letter or a text.",
            ) from error
        return to_prompt(group[0], options=options, images_first=self.images_first)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text of the one user turn: the engine applies the template itself, always.

        Raises BackendError for more turns than one and for a begun answer.
        """
        roles = [message["role"] for message in chat_history]
        if roles != ["user"] or not add_generation_prompt:
            raise BackendError(
                f"vsc-hf asks with one user turn, not with {' + '.join(roles)}.",
                mend="Leave out --apply_chat_template (the template is always applied), or add"
                " --fewshot_as_multiturn false; leave out --system_instruction and the task's gen_prefix.",
            )
        return chat_history[0]["content"]

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template that is applied, for lm-eval's log."""
        if isinstance(chat_template, str):
            raise SpecError(
                f"There is no choice of chat templates ('{chat_template}').", mend="Write --apply_chat_template alone."
            )
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
            mend="Leave --use_cache out; with --model_args ...,answers=FILE answers are kept under a key that has all.",
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


class VscHF(SessionLM):
    """`--model vsc-hf`. What `--model_args` may hold is this constructor's arguments.

    pretrained: vsc-tiny, a folder or a hub id. intervention: a condition ("counting", "counting+logic:scale=2"); the
    baseline if absent. suite: name or folder of the intervention suite, by default the one named like the model.
    answers: an SQLite file that keeps the answers; none are kept if absent. memory_gb: bound on the engine's stacks.
    """

    def __init__(
        self,
        pretrained: str,
        *,
        intervention: str | None = None,
        suite: str | None = None,
        answers: str | None = None,
        images_first: bool = False,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        batch_size: int | str | None = None,
        memory_gb: float | None = None,
        trust_remote_code: bool = False,
        max_pixels: int | None = None,
        min_pixels: int | None = None,
        attn_implementation: str | None = None,
        **unknown: Any,
    ) -> None:
        # Settings of the task files reach every model through --model_args; --metadata is their own place.
        strangers = sorted(name for name in unknown if not name.startswith("vsc_"))
        if strangers:
            raise SpecError(
                f"vsc-hf has no argument {', '.join(strangers)}.",
                mend=f"It has: {', '.join(sorted(_ARGUMENTS))}.",
            )
        vlm = load_vlm(
            str(pretrained),
            revision=revision,
            dtype=dtype,  # type: ignore[arg-type]  # checked there
            device=device,
            trust_remote_code=trust_remote_code,
            max_pixels=max_pixels,
            min_pixels=min_pixels,
            attn_implementation=attn_implementation,
        )
        session = open_session(
            vlm,
            [intervention] if intervention else [],
            suite=suite,
            store=AnswerStore(Path(answers)) if answers else None,
            batch_size=_batch_size(batch_size),
            memory_budget_bytes=None if memory_gb is None else int(float(memory_gb) * 2**30),
        )
        super().__init__(session, next(reversed(session.conditions)), images_first=bool(images_first))

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> Self:
        """As lm-eval's command line makes it: `--batch_size`, `--device` and `--model_args` together.

        Its defaults for the first two (1 and cuda:0) mean that the user said nothing.
        """
        given = {key: value for key, value in (additional_config or {}).items() if value is not None}
        given.pop("max_batch_size", None)
        # Written out on the command line it is the string "1".
        if given.get("batch_size") == _LM_EVAL_BATCH:
            del given["batch_size"]
        if given.get("device") == _LM_EVAL_DEVICE and not torch.cuda.is_available():
            del given["device"]
        if "pretrained" not in arg_dict:
            raise SpecError("vsc-hf needs a model.", mend="Write --model_args pretrained=vsc-tiny.")
        return cls(**{**given, **arg_dict})

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> Self:
        """Like `create_from_arg_obj`, from "key=value,key=value"."""
        from lm_eval.utils import simple_parse_args_string

        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)


_ARGUMENTS = tuple(
    name
    for name, kind in VscHF.__init__.__annotations__.items()
    if name not in ("return", "unknown") and kind is not None
)


def _logprobs(reading: Reading) -> tuple[float, ...]:
    assert reading.option_logprobs is not None
    return reading.option_logprobs


def _question(request: Instance) -> tuple[str | None, int | None, str]:
    return request.task_name, request.doc_id, request.args[0]


def _answer(request: Instance) -> str:
    """A continuation without the blank that lm-eval puts before it where no chat template is applied."""
    answer: str = request.args[1]
    return answer.strip()


def _batch_size(value: int | str | None) -> int | None:
    if value is None or (isinstance(value, str) and value.startswith("auto")):
        return None
    try:
        size = int(value)
        if size < 1:
            raise ValueError(value)
    except ValueError as error:
        raise SpecError(f"batch_size={value} is no positive number.", mend="Write a number, or auto.") from error
    return size
