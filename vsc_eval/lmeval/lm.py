"""`vsc-hf`: any Hugging Face VLM in lm-eval, with and without an SAE edit, by the shared-prefix engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.backends.session import open_session
from vsc_eval.errors import SpecError
from vsc_eval.lmeval.session_lm import SessionLM

_LM_EVAL_DEVICE = "cuda:0"
_LM_EVAL_BATCH = 1


class VscHF(SessionLM):
    """`--model vsc-hf`. What `--model_args` may hold is this constructor's arguments.

    pretrained: vsc-tiny, a folder or a hub id. condition: an expression ("counting", "counting+logic:scale=2"); the
    baseline if absent. intervention: name or folder of the intervention, by default the one named like the model.
    answers: an SQLite file that keeps the answers; none are kept if absent. memory_gb: bound on the engine's stacks.
    """

    def __init__(
        self,
        pretrained: str,
        *,
        condition: str | None = None,
        intervention: str | None = None,
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
                hint=f"It has: {', '.join(sorted(_ARGUMENTS))}.",
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
            [condition] if condition else [],
            intervention=intervention,
            store=AnswerStore(Path(answers)) if answers else None,
            batch_size=batch_size_of(batch_size),
            memory_budget_bytes=None if memory_gb is None else int(float(memory_gb) * 2**30),
        )
        super().__init__(session, list(session.conditions)[-1], images_first=bool(images_first))

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
            raise SpecError("vsc-hf needs a model.", hint="Write --model_args pretrained=vsc-tiny.")
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


def batch_size_of(value: int | str | None) -> int | None:
    """lm-eval's batch size; None, the backend's own, for `auto`. Raises SpecError."""
    if value is None or (isinstance(value, str) and value.startswith("auto")):
        return None
    try:
        size = int(value)
        if size < 1:
            raise ValueError(value)
    except ValueError as error:
        raise SpecError(f"batch_size={value} is no positive number.", hint="Write a number, or auto.") from error
    return size
