"""The parts of results.json that a board shows, of a run and of a study alike; what else is in it is carried along."""

from __future__ import annotations

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import FloorRow
from vsc_eval.analysis.official import OfficialRow
from vsc_eval.analysis.rows import Row
from vsc_eval.probing.result import ProbingResult


class Results(BaseModel):
    """Sections that a run lacks are empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_fingerprint: str
    rows: tuple[Row, ...]
    interactions: tuple[InteractionRow, ...] = Field(default=(), validation_alias=AliasChoices("interactions", "pairs"))
    official: tuple[OfficialRow, ...] = ()
    controls: tuple[ControlTest, ...] = ()
    floor: tuple[FloorRow, ...] = ()
    probing: ProbingResult | None = None
