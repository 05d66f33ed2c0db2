"""`--backend hf`: any VLM of transformers, by the shared-prefix engine.

Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vsc_eval.backends.registry import Backend, EngineSettings
from vsc_eval.errors import SpecError

if TYPE_CHECKING:
    from vsc_eval.backends.hf.engine import Engine
    from vsc_eval.backends.hf.load import LoadedVLM
    from vsc_eval.sae.model import SAE


def _make(vlm: LoadedVLM, *, sae: SAE | None, layer: int | None, settings: EngineSettings) -> Engine:
    from vsc_eval.backends.hf.engine import DEFAULT_BATCH_SIZE, Engine

    _check_options(settings.options)
    return Engine(
        vlm,
        sae=sae,
        layer=layer,
        batch_size=settings.batch_size or DEFAULT_BATCH_SIZE,
        memory_budget_bytes=settings.memory_budget_bytes,
        mode=settings.mode,
    )


def _check_options(options: Mapping[str, Any]) -> None:
    if options:
        raise SpecError(f"transformers has no option '{next(iter(options))}'.", hint="Options are of other backends.")


HF = Backend("hf", _make, needs_weights=True, check_options=_check_options, attempt=lambda options: {})
