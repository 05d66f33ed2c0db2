"""Interventions: edits as pure functions, the selection rule, suites on disk."""

from vsc_eval.interventions.edits import (
    BASELINE_HASH,
    CompiledCondition,
    check_width,
    compile_condition,
    edit_delta,
    position_mask,
)

__all__ = ["BASELINE_HASH", "CompiledCondition", "check_width", "compile_condition", "edit_delta", "position_mask"]
