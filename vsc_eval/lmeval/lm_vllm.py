"""`vsc-vllm`: any VLM that vLLM runs, in lm-eval, with and without an SAE edit."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from vsc_eval.backends.vllm.start import require_vllm
from vsc_eval.lmeval.lm import VscHF


class VscVllm(VscHF):
    """`--model vsc-vllm`. `--model_args` holds what that of vsc-hf does, less what is of transformers alone, and vLLM's
    own arguments (tensor_parallel_size=2, max_model_len=8192)."""

    name: ClassVar[str] = "vsc-vllm"
    backend: ClassVar[Literal["hf", "vllm"]] = "vllm"

    def __init__(self, pretrained: str, **arguments: Any) -> None:
        require_vllm()
        super().__init__(pretrained, **arguments)

    @classmethod
    def _strangers(cls, strangers: dict[str, Any]) -> dict[str, Any]:
        """vLLM's own arguments."""
        return {"vllm": strangers}
