"""`--backend vllm`: the same questions, conditions and readings as of the Hugging Face engine, at vLLM's speed.

vLLM takes the accelerator that it finds. Nothing here imports vllm before it is needed; no other part of vsc_eval does
at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vsc_eval.backends.registry import Backend, EngineSettings
from vsc_eval.backends.vllm.start import check_options, options_that_count, require_vllm

if TYPE_CHECKING:
    from vsc_eval.backends.hf.load import LoadedVLM
    from vsc_eval.backends.vllm.engine import VllmEngine
    from vsc_eval.sae.model import SAE


def _make(vlm: LoadedVLM, *, sae: SAE | None, layer: int | None, settings: EngineSettings) -> VllmEngine:
    from vsc_eval.backends.vllm.engine import DEFAULT_BATCH_SIZE, VllmEngine

    batch_size = settings.batch_size or DEFAULT_BATCH_SIZE
    return VllmEngine(vlm, sae=sae, layer=layer, batch_size=batch_size, options=settings.options)


def _attempt(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"vllm": str(require_vllm()), "vllm_arguments": dict(options)}


VLLM = Backend(
    "vllm",
    _make,
    needs_weights=False,
    check_options=check_options,
    options_that_count=options_that_count,
    attempt=_attempt,
)
