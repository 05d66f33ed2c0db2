"""VLMs: load any of transformers', run many conditions over many prompts.

Names are looked up on first use, so that the small modules can be imported without transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsc_eval.backends.hf.engine import Engine, EngineWarning, GenSettings
    from vsc_eval.backends.hf.hooks import layer_outputs
    from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
    from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts, option_token_ids

_HOMES = {
    "BatchInputs": "prompts",
    "Engine": "engine",
    "EngineWarning": "engine",
    "GenSettings": "engine",
    "LoadedVLM": "load",
    "Prompt": "prompts",
    "encode_prompts": "prompts",
    "layer_outputs": "hooks",
    "load_vlm": "load",
    "option_token_ids": "prompts",
}

__all__ = [
    "BatchInputs",
    "Engine",
    "EngineWarning",
    "GenSettings",
    "LoadedVLM",
    "Prompt",
    "encode_prompts",
    "layer_outputs",
    "load_vlm",
    "option_token_ids",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
