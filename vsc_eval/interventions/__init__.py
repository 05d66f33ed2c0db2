"""Interventions: edits as pure functions, the selection rule, interventions on disk."""
