"""Make our models known to lm-eval 0.4.13, which reads no entry points (later versions do, see pyproject.toml)."""

from __future__ import annotations

MODELS = {"vsc-hf": "vsc_eval.lmeval.lm:VscHF", "vsc-vllm": "vsc_eval.lmeval.lm_vllm:VscVllm"}
"""Name in `--model` -> where its class is; imported only when it is asked for."""


def register_models() -> None:
    """Register every model of `MODELS`, once."""
    # First lm-eval's own: it fills the registry when this is imported, and only if nothing else has begun to.
    import lm_eval.models
    from lm_eval.api.registry import model_registry

    assert lm_eval.models.MODEL_MAPPING
    for name, target in MODELS.items():
        if name not in model_registry:
            model_registry.register(name, target=target)
