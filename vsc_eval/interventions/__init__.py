"""Interventions: edits as pure functions, the selection rule, interventions on disk."""

from vsc_eval.interventions.edits import (
    BASELINE_HASH,
    CompiledCondition,
    compile_condition,
    edit_delta,
    position_mask,
)
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention, save_intervention

__all__ = [
    "BASELINE_HASH",
    "CompiledCondition",
    "LoadedIntervention",
    "compile_condition",
    "edit_delta",
    "load_intervention",
    "position_mask",
    "save_intervention",
]
