"""Interventions: edits as pure functions, the selection rule, suites on disk."""

from vsc_eval.interventions.edits import (
    BASELINE_HASH,
    CompiledCondition,
    compile_condition,
    edit_delta,
    position_mask,
)
from vsc_eval.interventions.suite import LoadedSuite, load_suite, save_suite

__all__ = [
    "BASELINE_HASH",
    "CompiledCondition",
    "LoadedSuite",
    "compile_condition",
    "edit_delta",
    "load_suite",
    "position_mask",
    "save_suite",
]
