"""Our models in lm-eval 0.4.13: how it gets to know them, and what `--model_args` may hold."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, field_validator

from vsc_eval.errors import SpecError
from vsc_eval.settings import EngineSpec
from vsc_eval.specs import expand_condition

MODELS = {"vsc-hf": "vsc_eval.lmeval.lm:VscHF", "vsc-vllm": "vsc_eval.lmeval.lm:VscVllm"}
"""Name in `--model` -> where its class is; imported only when it is asked for."""


def register_models() -> None:
    """Register every model of `MODELS`, once: lm-eval 0.4.13 reads no entry points (later versions do, see
    pyproject.toml)."""
    # First lm-eval's own: it fills the registry when this is imported, and only if nothing else has begun to.
    import lm_eval.models
    from lm_eval.api.registry import model_registry

    assert lm_eval.models.MODEL_MAPPING
    for name, target in MODELS.items():
        if name not in model_registry:
            model_registry.register(name, target=target)


class LmEvalSpec(EngineSpec):
    """One model under one condition. `model` is lm-eval's `pretrained`."""

    # lm-eval reads revision=1234567 as a number.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    condition: str | None = None
    """Expression of one condition (counting, counting+logic:scale=2); the baseline unless given."""
    intervention: str | None = None
    """Name or folder of the intervention; unless given, the one named like the model."""
    answers: Path | None = None
    """SQLite file that keeps the answers; none are kept unless given."""
    images_first: bool = False
    """Allow tasks whose text has its pictures in the middle."""

    hf_only: ClassVar[tuple[str, ...]] = (*EngineSpec.hf_only, "device", "attn_implementation")

    @field_validator("batch_size", mode="before")
    @classmethod
    def _of_lm_eval(cls, given: Any) -> Any:
        return None if isinstance(given, str) and given.startswith("auto") else given


def refuse_grid(condition: str) -> None:
    """Raises SpecError for an expression that stands for several conditions."""
    if len(named := expand_condition(condition)) > 1:
        raise SpecError(
            f"lm-eval runs one condition, and '{condition}' is a grid of {len(named)}.",
            hint=f"Write one of them, for example condition={named[0]}; `vsc-eval run` runs grids.",
        )
