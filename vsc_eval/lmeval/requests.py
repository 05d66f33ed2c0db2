"""From lm-eval's requests to our prompts and settings, refusing what would be answered wrongly."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance

from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.specs import BASELINE
from vsc_eval.taskfiles.rows import IMAGE_SLOT

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


def to_prompt(request: Instance, *, options: Sequence[str] = (), images_first: bool = False) -> Prompt:
    """The prompt of a request whose arguments are (context, ..., {"visual": images}) or (context, ...).

    Pictures go before the text. A text that puts one elsewhere is refused unless `images_first`. Raises BackendError.
    """
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
