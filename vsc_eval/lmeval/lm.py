"""`vsc-hf` and `vsc-vllm`: any VLM of Hugging Face, or any that vLLM runs, in lm-eval, with and without an SAE edit."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from lm_eval.utils import simple_parse_args_string

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import open_session
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.backends.registry import BACKENDS
from vsc_eval.backends.vllm.start import require_vllm
from vsc_eval.errors import SpecError, known_names
from vsc_eval.lmeval.models import LmEvalSpec, refuse_grid
from vsc_eval.lmeval.session_lm import SessionLM
from vsc_eval.mistakes import validated
from vsc_eval.specs import split_names

_LM_EVAL_DEVICE = "cuda:0"
_LM_EVAL_BATCH = 1


class VscHF(SessionLM):
    """`--model vsc-hf`. What `--model_args` may hold is `pretrained`, the model, and the fields of `LmEvalSpec`."""

    name: ClassVar[str] = "vsc-hf"
    backend: ClassVar[Literal["hf", "vllm"]] = "hf"

    def __init__(self, pretrained: str, **arguments: Any) -> None:
        spec = self._spec({**arguments, "model": pretrained, "backend": self.backend})
        session = open_session(
            load_vlm(spec.model, weights=BACKENDS.get(spec.backend).needs_weights, **spec.loading()),
            [spec.condition] if spec.condition else [],
            intervention=spec.intervention,
            store=AnswerStore(spec.answers) if spec.answers else None,
            **spec.answering(),
        )
        super().__init__(session, list(session.conditions)[-1], images_first=spec.images_first)

    @classmethod
    def _spec(cls, given: dict[str, Any]) -> LmEvalSpec:
        # Settings of the task files reach every model through --model_args; --metadata is their own place.
        others = {name: value for name, value in given.items() if not name.startswith("vsc_")}
        ours = {name: others.pop(name) for name in LmEvalSpec.model_fields if name in others}
        # lm-eval has split a grid at its commas; what goes on with a number of the condition is none of its arguments.
        whole = split_names(",".join([str(ours.get("condition") or ""), *others]))
        refuse_grid(whole[0] if whole else "")
        if cls.backend == "vllm":
            ours["backend_options"] = others
        elif others:
            known = sorted({"pretrained", *LmEvalSpec.model_fields} - {"model", "backend", "backend_options"})
            raise SpecError(
                f"{cls.name} has no argument {', '.join(sorted(others))}.",
                hint=known_names("arguments", min(others), known),
            )
        return validated(LmEvalSpec, ours, cls.name)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> Self:
        """As lm-eval's command line makes it: `--batch_size`, `--device` and `--model_args` together. Its defaults for
        the first two (1 and cuda:0) mean that the user said nothing; vLLM chooses the device itself."""
        given = {key: value for key, value in (additional_config or {}).items() if value is not None}
        given.pop("max_batch_size", None)
        # Written out on the command line it is the string "1".
        if given.get("batch_size") == _LM_EVAL_BATCH:
            del given["batch_size"]
        if cls.backend == "vllm" or (given.get("device") == _LM_EVAL_DEVICE and not torch.cuda.is_available()):
            given.pop("device", None)
        if "pretrained" not in arg_dict:
            raise SpecError(f"{cls.name} needs a model.", hint="Write --model_args pretrained=vsc-tiny.")
        return cls(**{**given, **arg_dict})

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> Self:
        """Like `create_from_arg_obj`, from "key=value,key=value"."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)


class VscVllm(VscHF):
    """`--model vsc-vllm`. `--model_args` holds what that of vsc-hf does, less what is of transformers alone, and vLLM's
    own arguments (tensor_parallel_size=2, max_model_len=8192)."""

    name: ClassVar[str] = "vsc-vllm"
    backend: ClassVar[Literal["hf", "vllm"]] = "vllm"

    def __init__(self, pretrained: str, **arguments: Any) -> None:
        require_vllm()
        super().__init__(pretrained, **arguments)
