"""`vsc-vllm`: any VLM that vLLM runs, in lm-eval, with and without an SAE edit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.backends.session import open_session
from vsc_eval.backends.vllm.available import require_vllm
from vsc_eval.errors import SpecError
from vsc_eval.lmeval.lm import batch_size_of
from vsc_eval.lmeval.session_lm import SessionLM


class VscVllm(SessionLM):
    """`--model vsc-vllm`. What `--model_args` may hold is this constructor's arguments and vLLM's own
    (tensor_parallel_size=2, max_model_len=8192).

    pretrained: vsc-tiny, a folder or a hub id. condition: an expression ("counting", "counting+logic:scale=2"); the
    baseline if absent. intervention: name or folder of the intervention, by default the one named like the model.
    answers: an SQLite file that keeps the answers; none are kept if absent.
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
        batch_size: int | str | None = None,
        trust_remote_code: bool = False,
        max_pixels: int | None = None,
        min_pixels: int | None = None,
        **vllm: Any,
    ) -> None:
        require_vllm()
        vlm = load_vlm(
            str(pretrained),
            revision=revision,
            dtype=dtype,  # type: ignore[arg-type]  # checked there
            trust_remote_code=trust_remote_code,
            max_pixels=max_pixels,
            min_pixels=min_pixels,
            weights=False,
        )
        session = open_session(
            vlm,
            [condition] if condition else [],
            intervention=intervention,
            store=AnswerStore(Path(answers)) if answers else None,
            batch_size=batch_size_of(batch_size),
            # Settings of the task files reach every model through --model_args; --metadata is their own place.
            backend="vllm",
            options={name: value for name, value in vllm.items() if not name.startswith("vsc_")},
        )
        super().__init__(session, list(session.conditions)[-1], images_first=bool(images_first))

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> Self:
        """As lm-eval's command line makes it: `--batch_size` and `--model_args` together.

        Its default batch size, 1, means that the user said nothing; vLLM chooses the device.
        """
        size = (additional_config or {}).get("batch_size")
        given = {} if size in (None, 1) else {"batch_size": size}
        if "pretrained" not in arg_dict:
            raise SpecError("vsc-vllm needs a model.", hint="Write --model_args pretrained=vsc-tiny.")
        return cls(**{**given, **arg_dict})

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> Self:
        """Like `create_from_arg_obj`, from "key=value,key=value"."""
        from lm_eval.utils import simple_parse_args_string

        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)
